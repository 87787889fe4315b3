"""Finding small versions of a program: proposals of `evaluation.programs.resize`, kept if they run, fit and
are alike.

First a way is found in which the program can be resized at all: which sizes, and what they have to preserve.
Then sizes of every purpose are drawn in that way. Only shapes are worked out, a few proposals at a time. The
same program and seed give the same variants on every machine that is not too slow.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import islice
from math import prod

from evaluation.problem import Tensor
from evaluation.programs import sizes
from evaluation.programs.networks import Network, mended
from evaluation.programs.resize import Place, Resizer, Rule, Size, related
from evaluation.programs.sizes import SMALL
from evaluation.reference.pool import ReferencePool, Survey
from evaluation.reference.syntax import ProgramError

ELEMENT_CAP = 8192
"""Elements of one tensor that a small variant should not exceed: simt does about 1e7 accesses a second."""
WORK_CAP = 500_000
"""Floating-point operations that a small variant should not exceed."""
RELAXATION = 8
"""By how much both caps are raised where no variant stays below them."""
LARGE_ELEMENT_CAP = 2_500_000
"""Elements of one tensor at the long and large sizes, of which a candidate gets what it can run in time."""
_LARGE_WORK = 16
"""Operations an element there, beyond what a small variant may do: elementwise work, no products."""
_ALIGNED_SHARE = 4
"""How many times larger than a small variant an aligned one may be."""
SURVEY_LIMIT = 1 << 25
"""Input elements up to which a program may be run only to learn its shapes."""
_MANY_TENSORS = 48
"""Tensors from which on a program is a whole network, and judged at small sizes only."""
_DEEP, _LAYERED = 40, 8
"""Parameters from which on a program is resized as a network first, and only then as others are."""
_HOPELESS = 2
"""Widths at which a network does not run with images of some sides, before others are tried."""
_NETWORK_WORK = 16
"""By how much the cap of work is raised for a network: narrower ones are of little use."""
_NETWORK_CHECKS, _MAX_MENDS = 3, 4
"""Small versions of a network that are looked for, and how many complaints of one are looked at."""
_SCALES = (1.0, 3.0, 0.3, 0.1, 6.0, 0.03, 0.01, 0.0, 1.0, 3.0)
"""Scales of the small sizes that are tried in turn: some programs need more room, others more thrift."""
_MAX_SURVEYS = 250
"""Surveys after which no further kind of sizes is tried."""
_BATCH = 24
"""Proposals that are surveyed together."""
_BATCH_SECONDS = 4.0
"""About how long a batch of surveys may take, going by the first; the CPU time of one call is limited."""


@dataclass
class Deadline:
    """Wall-clock time for all that is done to learn what a program is."""

    seconds: float
    ends: float = field(init=False)

    def __post_init__(self) -> None:
        self.ends = time.monotonic() + self.seconds

    @property
    def left(self) -> float:
        """Seconds that are left; raises `ProgramError` when none are."""
        left = self.ends - time.monotonic()
        if left <= 0:
            raise ProgramError(
                f"the program could not be described within {self.seconds:g} seconds; make it smaller"
            )
        return left


@dataclass(frozen=True)
class Way:
    """How a program can be resized."""

    groups: tuple[tuple[Size, ...], ...]
    """What changes together."""
    rule: Rule
    fixed: frozenset[int]
    only: int | None = None
    """The one value that the rule is for; `None`: all."""
    relaxation: int = 1
    """How far the caps are raised."""

    @property
    def large(self) -> list[int]:
        """Positions of the groups that are no mere batches, channels or windows; of all if all are."""
        found = [index for index, group in enumerate(self.groups) if group[0].value > SMALL]
        return found or list(range(len(self.groups)))

    @property
    def shipped(self) -> list[int]:
        """The large ones as they are shipped."""
        return [self.groups[index][0].value for index in self.large]


@dataclass(frozen=True)
class Variant:
    """A program at other sizes."""

    program: str
    """Empty if its inputs are too large to try it."""
    sizes: tuple[tuple[Size, int], ...]


@dataclass(frozen=True)
class _Working:
    """A way, and a variant that shows it works."""

    rank: int
    """0 is best; 1 more is larger than it should be, 2 more has lost an extent of an output."""
    way: Way
    variant: Variant


@dataclass
class Variants:
    """Texts of one program at other sizes."""

    checks: list[str] = field(default_factory=list)
    """Small ragged sizes and one aligned choice."""
    ladder: list[str] = field(default_factory=list)
    """Longer and larger ones, rising."""
    aligned: list[str] = field(default_factory=list)


def find_variants(
    text: str, shipped: Survey, reference: ReferencePool, seed: str, deadline: Deadline
) -> Variants:
    """Versions of a program at sizes drawn from `seed`; none where it cannot be resized."""
    return _Search(text, shipped, reference, random.Random(f"{seed}/{text}"), deadline).run()


def fits(survey: Survey, relaxation: int = 1, work: int | None = None) -> bool:
    """Whether a version is small enough for the CPU, its caps raised by `relaxation`, or work's by `work`."""
    small = all(0 < tensor.numel <= relaxation * ELEMENT_CAP for tensor in survey.tensors)
    return small and survey.flops <= (work or relaxation) * WORK_CAP


class _Search:
    """The search for one program."""

    def __init__(
        self, text: str, shipped: Survey, reference: ReferencePool, rng: random.Random, deadline: Deadline
    ) -> None:
        self.shipped, self.reference, self.rng, self.deadline = shipped, reference, rng, deadline
        taken = shipped.inputs + shipped.parameters
        self.text, self.dimensions = text, {extent for tensor in taken for extent in tensor.shape}
        self.resizer = Resizer(text, self.dimensions)
        self.surveys: dict[str, Survey | None] = {}
        self.reasons: dict[str, str] = {}
        self.batch = _BATCH

    def run(self) -> Variants:
        """Find a way, then draw everything in it."""
        network = self._network() if self._is_network() else Variants()
        if network.checks:
            return network
        best = self._way()
        if best is None:
            return network if self._is_network() else self._network()
        best = self._without_idle(best)
        way = best.way
        scales = (1.0, 0.05 if len(way.large) == 1 else 0.5)
        small = [[self._small(way, scale * factor) for factor in _SCALES] for scale in scales]
        check = self._aligned(way, range(7, 2, -1))
        aligned = [self._aligned(way, range(bits, 0, -1)) for bits in (6, 5)]
        self._survey(variant for variants in (*small, check, *aligned) for variant in variants)
        found = Variants()
        for variants in small:
            found.checks += self._first(variants, way, way.relaxation, found.checks)
        found.checks = found.checks or [best.variant.program]
        found.checks += self._first(check, way, _ALIGNED_SHARE * way.relaxation, found.checks)
        for variants in aligned:
            found.aligned += self._first(variants, way, way.relaxation, found.aligned)
        if len(self.shipped.tensors) < _MANY_TENSORS:
            with suppress(ProgramError):  # a slow program is judged at small sizes
                found.ladder = list(dict.fromkeys(self._ladder(way)))
        return found

    def _is_network(self) -> bool:
        """Whether it is best resized as a whole: it is deep, or its layers have widths of their own."""
        images = any(len(tensor.shape) > 3 for tensor in self.shipped.inputs)
        layered = any(size.place is Place.BODY for size in self.resizer.sizes)
        return images and len(self.shipped.parameters) >= (_LAYERED if layered else _DEEP)

    def _network(self) -> Variants:
        """Versions of a whole network; none where it does not hang together at other sizes."""
        widths = {extent for tensor in self.shipped.parameters for extent in tensor.shape}
        resizer = Resizer(self.text, self.dimensions, widths)
        caps = RELAXATION * ELEMENT_CAP, _NETWORK_WORK * WORK_CAP
        network = Network(resizer, self.shipped, self.rng, *caps)
        found = Variants()
        hopeless: Counter[tuple[int, int]] = Counter()
        waiting = network.recipes()
        while waiting and len(found.checks) < _NETWORK_CHECKS:
            recipes = waiting.pop(0)
            for recipe in recipes:
                variant = self._mended(self._variant(network.sizes(recipe), caps[0], resizer))
                survey = self.surveys.get(variant.program)
                if survey:  # it runs: to change more is of no use
                    break
            sides = recipe.sides
            hopeless[sides] += survey is None
            if survey and self._is_small_network(survey, variant):
                found.checks.append(variant.program)
            elif hopeless[sides] < _HOPELESS:
                continue
            waiting = [others for others in waiting if others[0].sides != sides]
        return found

    def _is_small_network(self, survey: Survey, variant: Variant) -> bool:
        alike = resized(self.shipped, survey, variant.sizes) and effective(self.shipped, survey)
        return alike and fits(survey, RELAXATION, _NETWORK_WORK)

    def _mended(self, variant: Variant) -> Variant:
        """The variant with what it complains of put right, as often as that leads on."""
        for _ in range(_MAX_MENDS):
            (survey,) = self._survey([variant])
            if survey is not None or variant.program not in self.reasons:
                break
            batches = [value for size, value in variant.sizes if size.place is Place.INPUTS and value > 1]
            text = mended(variant.program, self.reasons[variant.program], sorted(batches))
            if text is None:
                break
            variant = replace(variant, program=text)
        return variant

    def _way(self) -> _Working | None:
        """The first way in which the program runs and fits, and no output loses an extent if that can be."""
        best: list[_Working] = []
        for scope in self.resizer.scopes():
            if not self._could_fit(scope) or len(self.surveys) > _MAX_SURVEYS:
                continue
            fixed = frozenset(self.resizer.fixed(scope))
            for rule in Rule:
                ways = [
                    Way(groups, rule, fixed, only)
                    for groups in self._groupings(scope)
                    for only in self._only(rule, groups)
                ]
                best = sorted([*best, *self._working(ways)], key=lambda found: found.rank)[:1]
                if best and best[0].rank == 0:
                    return best[0]
            if best and best[0].rank == 1:
                return best[0]
        return best[0] if best else None

    def _groupings(self, scope: Sequence[Size]) -> list[tuple[tuple[Size, ...], ...]]:
        """Equal constants apart, then together, if that is not the same."""
        both = [tuple(self.resizer.grouped(scope, apart)) for apart in (True, False)]
        return both if len(both[0]) != len(both[1]) else both[:1]

    def _working(self, ways: Sequence[Way]) -> Iterator[_Working]:
        """Every way that works at some small size."""
        tried = [(way, self._small(way, scale)) for way in ways for scale in self._scales(way)]
        surveys = self._survey(variant for _, variant in tried)
        for (way, variant), survey in zip(tried, surveys, strict=True):
            if survey is None or not resized(self.shipped, survey, variant.sizes):
                continue
            lost = 0 if effective(self.shipped, survey) else 2
            if fits(survey):
                yield _Working(lost, way, variant)
            elif fits(survey, RELAXATION):
                yield _Working(lost + 1, replace(way, relaxation=RELAXATION), variant)

    def _only(self, rule: Rule, groups: Sequence[Sequence[Size]]) -> list[int | None]:
        """A number of parts divides all sizes that it can, or just one of them: channels, say."""
        values = sorted({group[0].value for group in groups}, reverse=True)
        return [None, *(values if len(values) > 1 else [])] if rule is Rule.LITERAL else [None]

    def _scales(self, way: Way) -> tuple[float, ...]:
        return _SCALES if way.rule is Rule.INDEPENDENT else _SCALES[:8]

    def _could_fit(self, scope: Sequence[Size]) -> bool:
        """Whether no input or parameter is too large by extents that the sizes have nothing to do with."""
        values = {size.value for size in scope}

        def follows(extent: int) -> bool:
            related = any(
                extent % value == 0 or value % extent == 0 or extent - value in values
                for value in values
                if value > SMALL
            )
            return related or extent in values

        return all(
            prod(extent for extent in tensor.shape if not follows(extent)) <= RELAXATION * ELEMENT_CAP
            for tensor in self.shipped.inputs + self.shipped.parameters
        )

    def _without_idle(self, found: _Working) -> _Working:
        """The same without sizes that make no dimension after all, a divisor say: they stay as shipped."""
        new = dict(found.variant.sizes)
        doubtful = [size for size in new if size.place is Place.MODULE and size.value <= SMALL]
        restored = [self._variant(new | {size: size.value}, LARGE_ELEMENT_CAP) for size in doubtful]
        first, *others = self._survey([found.variant, *restored])
        assert first is not None
        tensors = [other and other.tensors for other in others]
        idle = {size for size, same in zip(doubtful, tensors, strict=True) if same == first.tensors}
        groups = [tuple(size for size in group if size not in idle) for group in found.way.groups]
        kept = {size: value for size, value in new.items() if size not in idle}
        way = replace(found.way, groups=tuple(filter(None, groups)))
        return replace(found, way=way, variant=self._variant(kept, LARGE_ELEMENT_CAP))

    def _ladder(self, way: Way) -> list[str]:
        """Every size of its own long, then all together large."""
        shipped = way.shipped
        tried = [
            [self._long(way, index, extent, least) for least in (2, 3, 4, 7)]
            for index in range(len(shipped))
            for extent in sizes.rungs(shipped[index], self.rng)
        ]
        if len(shipped) > 1:
            totals = [total for total in sizes.RUNGS[4:] if total < prod(shipped)]
            drawn = [sizes.filled(total, shipped, self.rng) for total in totals]
            tried += [[self._targeted(way, one, ragged=True, most=LARGE_ELEMENT_CAP)] for one in drawn]
        self._survey(variants[0] for variants in tried)
        failed = [variants for variants in tried if self._lost(variants[0], way, None) != 0]
        self._survey(variant for variants in failed for variant in variants[1:])
        return [text for variants in tried for text in self._first(variants, way, None)]

    def _first(
        self, variants: Sequence[Variant], way: Way, relaxation: int | None, taken: Sequence[str] = ()
    ) -> list[str]:
        """The first new variant that works, those that lose no output extent before the others."""
        found: list[str] = []
        for variant in variants:
            if variant.program in taken:
                continue
            lost = self._lost(variant, way, relaxation)
            if lost == 0:
                return [variant.program]
            if lost is not None:
                found.append(variant.program)
        return found[:1]

    def _lost(self, variant: Variant, way: Way, relaxation: int | None) -> bool | None:
        """Whether an output loses an extent; `None` if the variant does not work or fit."""
        (survey,) = self._survey([variant])
        if survey is None or not resized(self.shipped, survey, variant.sizes):
            return None
        fitting = fits(survey, relaxation) if relaxation else _fits_large(survey, way.relaxation)
        return not effective(self.shipped, survey) if fitting else None

    def _small(self, way: Way, scale: float) -> Variant:
        shipped = way.shipped
        targets = [
            target if target < extent else sizes.ragged(extent // 2, extent - 1, self.rng)
            for target, extent in zip(sizes.small(len(shipped), self.rng, scale), shipped, strict=True)
        ]
        return self._targeted(way, targets, ragged=True, most=RELAXATION * ELEMENT_CAP)

    def _aligned(self, way: Way, bits: Iterable[int]) -> list[Variant]:
        drawn = [sizes.aligned(way.shipped, self.rng, most) for most in bits]
        most = _ALIGNED_SHARE * RELAXATION * ELEMENT_CAP
        return [self._targeted(way, targets, ragged=False, most=most) for targets in drawn]

    def _long(self, way: Way, position: int, extent: int, least: int) -> Variant:
        targets = sizes.tiny(len(way.large), self.rng, least)
        targets[position] = extent
        return self._targeted(way, targets, ragged=True, most=LARGE_ELEMENT_CAP)

    def _targeted(self, way: Way, targets: Sequence[int], ragged: bool, most: int) -> Variant:
        """The large sizes near `targets`, the others small, and what `way` preserves."""
        wanted = dict(zip(way.large, targets, strict=True))
        small = [index for index in range(len(way.groups)) if index not in wanted]
        step = self.rng.randrange(3) if ragged else 0
        values = (2, 3, 5, 7, 9, 11, 13, 15)[step:] if ragged else (2, 4, 8, 16)
        for rank, index in enumerate(sorted(small, key=lambda index: way.groups[index][0].value)):
            wanted[index] = values[rank % len(values)]
        pairs = [(group[0].value, wanted[index]) for index, group in enumerate(way.groups)]
        new = related(way.rule, pairs, way.fixed, ragged, way.only)
        return self._variant(
            {size: value for group, value in zip(way.groups, new, strict=True) for size in group}, most
        )

    def _variant(self, new: Mapping[Size, int], most: int, resizer: Resizer | None = None) -> Variant:
        """The program at these sizes, if its inputs can be as small as `most` elements."""
        smallest: dict[int, int] = {}
        for size, value in new.items():
            smallest[size.value] = min(value, smallest.get(size.value, value))
        shapes = [[smallest.get(extent, 1) for extent in tensor.shape] for tensor in self.shipped.inputs]
        small = all(prod(shape) <= most for shape in shapes)
        return Variant((resizer or self.resizer).rewrite(new) if small else "", tuple(new.items()))

    def _survey(self, variants: Iterable[Variant]) -> list[Survey | None]:
        """Shapes of each variant that runs; each text is tried once."""
        wanted = list(variants)
        fresh = [item for item in wanted if item.program and item.program not in self.surveys]
        texts = iter(dict.fromkeys(item.program for item in fresh))
        while batch := list(islice(texts, self.batch)):
            started = time.monotonic()
            try:
                found = self.reference.survey(batch, SURVEY_LIMIT, seconds=self.deadline.left)
            except ProgramError:  # one of them ended the process of all
                found = [ProgramError("it ended")] * len(batch)
            for text, survey in zip(batch, found, strict=True):
                self.surveys[text] = survey if isinstance(survey, Survey) else None
                if isinstance(survey, ProgramError):
                    self.reasons[text] = str(survey)
            each = (time.monotonic() - started) / len(batch)
            self.batch = max(1, min(_BATCH, int(_BATCH_SECONDS / max(each, 1e-3))))
        return [self.surveys.get(item.program) for item in wanted]


def _fits_large(survey: Survey, relaxation: int) -> bool:
    """Whether a version may be in the ladder: mere elements may be many, work may not."""
    elements = max(tensor.numel for tensor in survey.tensors)
    if min(tensor.numel for tensor in survey.tensors) == 0 or elements > LARGE_ELEMENT_CAP:
        return False
    return survey.flops <= max(relaxation * WORK_CAP, _LARGE_WORK * elements)


def resized(shipped: Survey, variant: Survey, new: Sequence[tuple[Size, int]]) -> bool:
    """Whether `variant` is `shipped` with its sizes changed.

    Every tensor keeps its name, rank and dtype; dimensions of inputs follow the sizes, those of 1 stay 1, a
    window may stay what a size of its value was, and those that the program computes are free; something
    changes.
    """
    if [_kind(tensor) for tensor in shipped.tensors] != [_kind(tensor) for tensor in variant.tensors]:
        return False
    followed: dict[int, set[int]] = {1: {1}}
    for size, value in new:
        followed.setdefault(size.value, set()).add(value)
    for old, now in zip(shipped.inputs, variant.inputs, strict=True):
        pairs = zip(old.shape, now.shape, strict=True)
        if any(not _follows(extent, other, followed) for extent, other in pairs):
            return False
    return any(old.shape != now.shape for old, now in zip(shipped.tensors, variant.tensors, strict=True))


def _follows(extent: int, other: int, followed: Mapping[int, set[int]]) -> bool:
    stays = extent == other and 1 < extent <= SMALL
    return extent not in followed or other in followed[extent] or stays


def effective(shipped: Survey, variant: Survey) -> bool:
    """Whether every output extent above 1 still is: strides and windows do nothing along one of 1."""
    return all(
        now > 1 or old == 1
        for one, other in zip(shipped.outputs, variant.outputs, strict=True)
        for old, now in zip(one.shape, other.shape, strict=True)
    )


def _kind(tensor: Tensor) -> tuple[str, str, int]:
    return tensor.name, tensor.dtype, len(tensor.shape)
