"""Draws problems over the operator graph: the same seed gives the same bytes.

Every operator is drawn alone (level 1, for training), and combinations of two and three are drawn
within their split. The held-out and validation problems come from the split seed and are the same
on every night; the training problems come from the night's seed. A drawn graph that is degenerate
(see `data.screen`) is thrown away and counted.

The order of the combinations is that of their hashes, and each has a random stream of its own. So an
operator added to the table changes no problem: its combinations take their places among the others.
"""

from __future__ import annotations

import hashlib
import itertools
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from data.building import Builder
from data.chain import Layout, Role, Step, chain, fits, is_product, role
from data.composing import compose_many
from data.graph import Graph
from data.operators.operator import Attribute, Operator
from data.operators.registry import chosen
from data.rendering import problem
from data.screen import defect
from data.settings import Counts, DataSettings
from data.splits import belongs, split_of
from evaluation.errors import WarpsmithError
from evaluation.problem import Problem, Split

#: Draws from one combination before it is given up for this pass.
_TRIES = 6
#: Passes over the combinations of a split; each finds new graphs of the same combinations.
_PASSES = 8

Combination = tuple[str, ...]


@dataclass(frozen=True)
class Generated:
    """A problem and the graph that it was rendered from, which `solutions` translates to CUDA."""

    problem: Problem
    graph: Graph


@dataclass(frozen=True)
class Draw:
    """All generated problems of a night, and how many drawn graphs were thrown away, by defect."""

    problems: tuple[Generated, ...]
    rejected: dict[str, int]


def generate(settings: DataSettings, night: str, progress: Callable[[str], None] | None = None) -> Draw:
    """Draw the problems of a night.

    Raises WarpsmithError if the settings ask for more problems than the combinations hold.
    """
    rejected: Counter[str] = Counter()
    problems: list[Generated] = []
    for split in (Split.HELDOUT, Split.VALIDATION, Split.TRAIN):
        seed = f"{settings.seed}/{night}" if split is Split.TRAIN else str(settings.split_seed)
        drawer = _Drawer(settings, split, f"{seed}/{split}", rejected)
        drawn = list(drawer.draw())
        problems += drawn
        if progress is not None:
            progress(f"{split}: {len(drawn)} problems drawn")
    return Draw(tuple(problems), dict(sorted(rejected.items())))


def combinations(operators: Mapping[str, Operator], level: int, *, structured: bool) -> list[Combination]:
    """All combinations of `level` operators that can make a chain, with or without a structured one."""
    roles = {name: found for name, operator in operators.items() if (found := role(operator)) is not None}
    return [
        names
        for names in itertools.combinations(sorted(roles), level)
        if fits([operators[name] for name in names])
        and structured == any(roles[name] is Role.STRUCTURED for name in names)
    ]


def draw_chain(
    operators: Mapping[str, Operator], combination: Combination, settings: DataSettings, rng: random.Random
) -> Graph:
    """One chain of the combination: the order, the operands and the layout are drawn.

    A reduction comes last; the others come in any order.
    """
    names = list(combination)
    rng.shuffle(names)
    names.sort(key=lambda name: role(operators[name]) is Role.REDUCTION)
    steps = [_draw_step(operators[name], first=index == 0, rng=rng) for index, name in enumerate(names)]
    if any(is_product(step.operator) for step in steps):
        return chain(steps, Layout.MATMUL)
    reads_y = any(step.operand == "y" for step in steps)
    if reads_y and rng.random() < settings.broadcast_share:
        return chain(steps, Layout.BROADCAST)
    in_rows = {Role.STRUCTURED, Role.REDUCTION} & {role(step.operator) for step in steps}
    return chain(steps, Layout.MATRIX if in_rows else Layout.VECTOR)


def _draw_step(operator: Operator, *, first: bool, rng: random.Random) -> Step:
    """A binary step takes `y`, or now and then `x` again; the sides matter to `sub` only."""
    if role(operator) is not Role.BINARY:
        return Step(operator)
    operand = "y" if first else rng.choice("yyx")
    return Step(operator, operand, swapped=operator.name == "sub" and rng.random() < 0.5)


def single_operator_graphs(operator: Operator, dtype: str = "float32") -> list[Graph]:
    """All graphs of one operator: its layouts and, for `sub`, both orders; or its attributes one by one."""
    match role(operator):
        case Role.BINARY:
            sides = (False, True) if operator.name == "sub" else (False,)
            layouts = (Layout.VECTOR, Layout.BROADCAST, Layout.MATRIX)
            return [chain([Step(operator, "y", side)], layout, dtype) for layout in layouts for side in sides]
        case Role.POINTWISE:
            return [chain([Step(operator)], layout, dtype) for layout in (Layout.VECTOR, Layout.MATRIX)]
        case Role.REDUCTION | Role.STRUCTURED:
            return [chain([Step(operator)], Layout.MATMUL if is_product(operator) else Layout.MATRIX, dtype)]
    return [_alone(operator, attributes, dtype) for attributes in _variations(operator)]


def _variations(operator: Operator) -> list[dict[str, Attribute]]:
    """An operator's default attributes, and each further value of one with the defaults of the rest."""
    further = [{name: value} for name, values in operator.attributes.items() for value in values[1:]]
    return [{}, *further]


def _alone(operator: Operator, attributes: Mapping[str, Attribute], dtype: str) -> Graph:
    builder = Builder(dtype)
    return builder.graph(*builder.add(operator, (), attributes))


class _Drawer:
    """Draws the problems of one split."""

    def __init__(self, settings: DataSettings, split: Split, seed: str, rejected: Counter[str]) -> None:
        self.settings, self.split, self.seed, self.rejected = settings, split, seed, rejected
        self.operators = chosen(settings.operators)
        self.seen: set[Graph] = set()

    def draw(self) -> Iterator[Generated]:
        """All problems of the split, level by level."""
        if self.split is Split.TRAIN:
            yield from self._singles()
        counts: Counts = getattr(self.settings, self.split)
        structured = round(self.settings.structured_share * counts.level2)
        yield from self._composed(self._combinations(2), counts.level2 - structured)
        yield from self._composed(self._combinations(2, structured=True), structured)
        yield from self._composed(self._combinations(3), counts.level3)
        yield from self._graphs(counts.graphs)

    def _combinations(self, level: int, *, structured: bool = False) -> list[Combination]:
        return combinations(self.operators, level, structured=structured)

    def _singles(self) -> Iterator[Generated]:
        for operator in self.operators.values():
            graphs = [graph for graph in single_operator_graphs(operator) if self._accept(graph)]
            for graph in graphs[: self.settings.level1_per_operator]:
                yield self._generated(graph)

    def _graphs(self, count: int) -> Iterator[Generated]:
        """`count` graphs of all operators whose combinations belong to this split."""
        for item in compose_many(
            count,
            self.operators,
            seed=f"{self.seed}/graphs",
            split=self.split,
            tolerance=self.settings.tolerance,
            accept=partial(belongs, self.settings, self.split),
        ):
            self.rejected.update(item.rejected)
            yield Generated(item.problem, item.graph)

    def _composed(self, candidates: Sequence[Combination], count: int) -> Iterator[Generated]:
        """`count` problems, going round this split's combinations so that none is favoured."""
        own = [names for names in candidates if split_of(names, self.settings) is self.split]
        own.sort(key=lambda names: hashlib.sha256(self._name(names)).digest())
        streams = [(names, random.Random(self._name(names))) for names in own]
        missing = count
        for names, rng in itertools.chain.from_iterable(itertools.repeat(streams, _PASSES)):
            if missing == 0:
                return
            graph = self._fresh_graph(names, rng)
            if graph is not None:
                missing -= 1
                yield self._generated(graph)
        if missing:
            raise WarpsmithError(
                f"the {len(own)} operator combinations of the {self.split} split hold only "
                f"{count - missing} of the {count} problems asked for: lower data.{self.split}."
            )

    def _name(self, names: Combination) -> bytes:
        """What a combination's place and its random stream follow from."""
        return f"{self.seed}/{'+'.join(names)}".encode()

    def _fresh_graph(self, names: Combination, rng: random.Random) -> Graph | None:
        for _ in range(_TRIES):
            graph = draw_chain(self.operators, names, self.settings, rng)
            if graph not in self.seen and self._accept(graph):
                return graph
        return None

    def _accept(self, graph: Graph) -> bool:
        """Whether the graph is worth solving; it is never screened twice."""
        self.seen.add(graph)
        found = defect(graph)
        if found is not None:
            self.rejected[found.value] += 1
        return found is None

    def _generated(self, graph: Graph) -> Generated:
        return Generated(problem(graph, self.split, self.settings.tolerance, self.seed), graph)
