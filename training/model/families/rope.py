"""The rotary parameters of a config.json: where they stand, and which of them we can compute."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.model.families.config_fields import Fields

Check = tuple[str, Any, tuple[Any, ...]]
"""A field's name, its value, and the values that are supported."""

_ROPE_TYPES = ("default", "llama3")
_LLAMA3_FIELDS = ("factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings")
#: What a group of rotary parameters may hold; anything else, such as Qwen2-VL's mrope_section, may matter.
_ROPE_FIELDS = ("rope_type", "type", "rope_theta", "partial_rotary_factor", *_LLAMA3_FIELDS)


@dataclass(frozen=True)
class RopeScaling:
    """Llama 3.1's stretch of the low rotary frequencies (`rope_type` "llama3").

    Computed in `training.model.rotary`.
    """

    factor: float
    low_freq_factor: float
    high_freq_factor: float
    original_max_positions: int


@dataclass(frozen=True)
class Rope:
    """How positions turn queries and keys."""

    theta: float
    """Base of the frequencies."""
    scaling: RopeScaling | None
    """How they are stretched; none leaves them as `theta` gives them."""


def read_rope(values: Mapping[str, Any], path: Path) -> Rope:
    """One set of rotary parameters, already known to be supported."""
    fields = Fields(values, path)
    scaling = None
    if _rope_type(values) == "llama3":
        scaling = RopeScaling(
            factor=fields.number("factor"),
            low_freq_factor=fields.number("low_freq_factor"),
            high_freq_factor=fields.number("high_freq_factor"),
            original_max_positions=fields.integer("original_max_position_embeddings"),
        )
    return Rope(theta=fields.number("rope_theta"), scaling=scaling)


def rope_parameters(config: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """The rotary parameters: transformers 5 groups them, transformers 4 kept the base at the top level.

    Where both of its groups are given, transformers 5 reads `rope_scaling` alone and others may not, so they
    must agree.
    """
    fields = Fields(config, path)
    scaling, parameters = fields.group("rope_scaling"), fields.group("rope_parameters")
    if scaling and parameters and scaling != parameters:
        raise fields.wrong("rope_scaling", f"is not what rope_parameters {parameters!r:.200} says")
    top_level = {name: config[name] for name in ("rope_theta", "partial_rotary_factor") if name in config}
    return top_level | dict(scaling or parameters)


def rope_checks(*groups: Mapping[str, Any]) -> Iterator[Check]:
    """What of groups of rotary parameters, wherever they stand, must have a supported value."""
    for group in groups:
        for name in ("rope_type", "type"):
            yield "rope_type", group.get(name), (None, *_ROPE_TYPES)
        yield "partial_rotary_factor", group.get("partial_rotary_factor"), (None, 1)
        for name, value in group.items():
            if name not in _ROPE_FIELDS:
                yield name, value, (None,)


def _rope_type(values: Mapping[str, Any]) -> Any:
    return values.get("rope_type") or values.get("type") or "default"
