"""Command-line flags for every setting: `--tensor-model-parallel-size 2 --sglang-mem-fraction-static 0.7`.

* Megatron's fields have their own names: `--sequence-parallel`, `--recompute-granularity full`, `--lr 1e-6`.
  Those of its optimizer set SFT and GRPO alike.
* SGLang's fields follow `--sglang-`.
* Ours are `--<section>-<name>`: `--grpo-lr`, `--sft-steps`, `--evaluation-rewards-parsed`.
* `aliases` lists slime's spellings of ours: `--rollout-batch-size`, `--eps-clip`, `--num-rollout`.

A flag that sets several settings yields to one that sets a single one of them. A switch is `--name` or
`--no-name`, or takes `true` or `false`; `none` empties what may be empty; a list is `--name 1 2 3`, a mapping
is written in YAML.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import isfinite
from typing import Any

import yaml
from pydantic import BaseModel, TypeAdapter, ValidationError

from evaluation.errors import WarpsmithError
from training.arguments.aliases import GLOBAL_BATCH_SIZE, HINTS
from training.arguments.catalogue import Flag, Setting, allows, flag_table
from training.settings.upstream import nearest

Overrides = dict[str, dict[str, Any]]
"""By section, the settings that flags change, as a profile would write them. Every section is a key."""

#: What Megatron's and SGLang's settings are that nobody has set.
_UNSET = object()
_BOOLEANS = {
    "true": True,
    "yes": True,
    "on": True,
    "1": True,
    "false": False,
    "no": False,
    "off": False,
    "0": False,
}


@dataclass(frozen=True)
class _Given:
    """A flag on the command line."""

    flag: Flag
    spelling: str
    """As it was written, without its value."""
    value: Any

    @property
    def yields(self) -> bool:
        """Whether a more specific flag for the same setting wins, without being a contradiction."""
        alias = self.flag.alias
        return len(self.flag.settings) > 1 or (alias is not None and alias.is_switch and self.value is True)


@dataclass(frozen=True)
class _Choice:
    """What a flag makes of one setting."""

    setting: Setting
    value: Any
    given: _Given


def read_arguments(
    arguments: Sequence[str], base: Mapping[str, BaseModel], reads: Collection[str] | None = None
) -> Overrides:
    """What flags change in the settings `base`; a flag that says what is so anyway changes nothing.

    Args:
        arguments: flags and their values.
        base: the sections of the profile, resolved.
        reads: the sections that the command reads, if it does not read all.

    Raises:
        WarpsmithError: an unknown flag, a value that is not of its type, flags that contradict each other, or
            one that changes only what the command does not read.
    """
    table = flag_table({section: type(settings) for section, settings in base.items()})
    given = list(_scan(arguments, table))
    reads = base.keys() if reads is None else reads
    for each in given:
        _refuse_unread(each, reads)
    overrides: Overrides = {section: {} for section in base}
    for choice in _settle(given, base, reads).values():
        if choice.setting.path[0] in reads:
            _override(overrides, choice.setting, choice.value, base)
    return overrides


def changes(overrides: Mapping[str, Mapping[str, Any]]) -> str:
    """Overrides for people: `grpo.steps=5 megatron.bf16=True`; empty if there are none."""
    return " ".join(
        f"{section}.{name}={value}" for section, values in overrides.items() for name, value in values.items()
    )


def _scan(arguments: Sequence[str], table: Mapping[str, Flag]) -> Iterator[_Given]:
    """The flags of a command line with their values, one after the other."""
    tokens = deque(arguments)
    while tokens:
        token = tokens.popleft()
        if not token.startswith("--"):
            raise WarpsmithError(f"{token!r} belongs to no flag; settings are given as `--name value`")
        name, equals, text = token[2:].partition("=")
        flag, negative = _find(name, table)
        if negative and equals:
            raise WarpsmithError(f"`--{name}` takes no value; write `--{flag.name} {text}`")
        texts = ["false"] if negative else [text] if equals else list(_values(flag, tokens))
        value = _parse(flag, texts)
        yield _Given(flag, f"--{name}", value)


def _find(name: str, table: Mapping[str, Flag]) -> tuple[Flag, bool]:
    """The flag called `name`, and whether it is its negative."""
    if name in table:
        return table[name], False
    positive = table.get(name.removeprefix("no-"))
    if positive is not None and positive.is_boolean:
        return positive, True
    shown = " ".join(name.split())
    if name in HINTS:
        raise WarpsmithError(f"there is no flag `--{name}`: {HINTS[name]}")
    raise WarpsmithError(f"there is no flag `--{shown}`; the nearest valid one is `--{nearest(name, table)}`")


def _values(flag: Flag, tokens: deque[str]) -> Iterator[str]:
    """Take the values of `flag` from the front of `tokens`."""
    if flag.is_boolean:
        yield tokens.popleft() if tokens and tokens[0].lower() in _BOOLEANS else "true"
        return
    if not tokens or tokens[0].startswith("--"):
        raise WarpsmithError(f"`--{flag.name}` needs a value: {flag.settings[0].type_text}")
    yield tokens.popleft()
    while flag.is_list and tokens and not tokens[0].startswith("--"):
        yield tokens.popleft()


def _parse(flag: Flag, texts: list[str]) -> Any:
    """The value that `texts` stand for."""
    setting, shown = flag.settings[0], " ".join(texts)
    if flag.kind is None:
        raise WarpsmithError(f"`--{flag.name}` takes a {setting.type_text}, which is not text; leave it out")
    if flag.alias is not None and shown in flag.alias.meanings:
        return shown
    reason = ""
    for candidate in _candidates(flag, texts):
        try:
            value = TypeAdapter(flag.kind).validate_python(candidate)
        except ValidationError as error:
            reason = error.errors()[0]["msg"].removeprefix("Value error, ")
            continue
        if not isinstance(value, float) or isfinite(value):
            return value
        reason = "it must be a finite number"
    if flag.alias is not None and flag.alias.meanings and not flag.is_boolean:
        choices = dict.fromkeys([*flag.alias.meanings, *setting.type_text.split("|")])
        reason = f"it is one of {', '.join(choices)}"
    raise WarpsmithError(f"`--{flag.name}` cannot be {shown!r}: {reason}")


def _candidates(flag: Flag, texts: list[str]) -> Iterator[Any]:
    """What Pydantic is to make a value of, the likeliest first."""
    text = texts[0]
    if len(texts) > 1:
        yield texts
        return
    if text.lower() in ("none", "null") and allows(flag.kind, None):
        yield None
    elif flag.is_boolean and text.lower() in _BOOLEANS:
        yield _BOOLEANS[text.lower()]
    elif (flag.is_mapping and text.startswith("{")) or (flag.is_list and text.startswith("[")):
        with suppress(yaml.YAMLError):
            yield yaml.safe_load(text)
    elif text.isdecimal() and allows(flag.kind, int(text)):
        yield int(text)  # a choice among numbers; other numbers Pydantic reads from the text
    yield text
    if flag.is_list:
        yield texts


def _refuse_unread(given: _Given, reads: Collection[str]) -> None:
    sections = [setting.path[0] for setting in given.flag.settings]
    if not set(sections) & set(reads):
        raise WarpsmithError(
            f"`{given.spelling}` sets `{given.flag.settings[0].name}`, which this command does not read; "
            "leave it out"
        )


def _settle(
    given: Sequence[_Given], base: Mapping[str, BaseModel], reads: Collection[str]
) -> dict[str, _Choice]:
    """What settings become, by name: the more specific flags win, contradictions are errors."""
    chosen: dict[str, _Choice] = {}
    for each in sorted(given, key=lambda each: not each.yields):
        for choice in _choices(each):
            _choose(choice, chosen)
    for each in given:
        if each.flag.name == GLOBAL_BATCH_SIZE and "grpo" in reads:
            minibatches = next(setting for setting in each.flag.settings if setting.path[0] == "grpo")
            _choose(_Choice(minibatches, _minibatches(each, chosen, base), each), chosen)
    return chosen


def _choices(given: _Given) -> Iterator[_Choice]:
    """What one flag sets; the steps of a rollout follow from the global batch size only when all is known."""
    alias = given.flag.alias
    plain = {setting.name: given.value for setting in given.flag.settings}
    meaning = plain if alias is None else alias.meanings.get(given.value, plain)
    for setting in given.flag.settings:
        if setting.name in meaning and (given.flag.name != GLOBAL_BATCH_SIZE or setting.path[0] == "sft"):
            yield _Choice(setting, meaning[setting.name], given)


def _choose(choice: _Choice, chosen: dict[str, _Choice]) -> None:
    name = choice.setting.name
    earlier = chosen.get(name)
    if earlier is not None and _contradict(earlier, choice):
        spellings = f"`{earlier.given.spelling}` and `{choice.given.spelling}`"
        raise WarpsmithError(f"{spellings} both set `{name}`; give one of them")
    chosen[name] = choice


def _contradict(earlier: _Choice, later: _Choice) -> bool:
    """Whether two flags want different things; of one flag given twice the last counts, as everywhere."""
    same_flag = earlier.given.flag.name == later.given.flag.name
    return not earlier.given.yields and not same_flag and earlier.value != later.value


def _minibatches(given: _Given, chosen: Mapping[str, _Choice], base: Mapping[str, BaseModel]) -> int:
    """Optimizer steps per rollout that make each take `given.value` responses."""
    prompts, samples = (
        chosen[name].value if name in chosen else _get(base["grpo"], [name.partition(".")[2]])
        for name in ("grpo.prompts_per_step", "grpo.samples_per_prompt")
    )
    if prompts * samples % given.value:
        raise WarpsmithError(
            f"`{given.spelling} {given.value}` does not divide a rollout of {prompts} prompts x {samples} "
            "samples; give a divisor of their product"
        )
    return int(prompts * samples // given.value)


def _override(overrides: Overrides, setting: Setting, value: Any, base: Mapping[str, BaseModel]) -> None:
    """Write a value as a profile would have it, unless it is what the setting is anyway."""
    section, first, *rest = setting.path
    if value == _get(base[section], [first, *rest]):
        return
    written = TypeAdapter(Any).dump_python(value, mode="json")
    if not rest:
        overrides[section][first] = written
        return
    nested = _get(base[section], [first]).model_dump(mode="json")
    target = overrides[section].setdefault(first, nested)
    for name in rest[:-1]:
        target = target[name]
    target[rest[-1]] = written


def _get(settings: BaseModel, names: Sequence[str]) -> Any:
    """The value of a setting, upstream's own included; upstream's defaults are theirs to know."""
    value: Any = settings
    for name in names:
        value = getattr(value, name, _UNSET)
    return value
