"""Upstream's settings: which types text can give, and how values are checked."""

from __future__ import annotations

from typing import Any, Literal

import pytest

from training.settings.upstream import checked, megatron_fields, nearest, resolve_type, sglang_fields


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("bool", bool),
        ("Optional[int]", int | None),
        ("typing.Optional[float]", float | None),
        ("Union[int, List[int]]", int | list[int]),
        ("list[str] | None", list[str] | None),
        ("Tuple[int, int]", tuple[int, int]),
        ("dict[str, Any]", dict[str, Any]),
        ("Literal['a', 'b']", Literal["a", "b"]),
        ("'a' | 'b' | None", Literal["a", "b"] | None),
        ("Optional[Union[str, PipelineLayout]]", str | None),
        ("AttnBackend", Literal["flash", "fused", "unfused", "local", "auto"]),
    ],
)
def test_types_of_text(text, kind):
    assert resolve_type(text) == kind


@pytest.mark.parametrize("text", ["Callable", "Optional[Callable]", "torch.dtype", "int]", ""])
def test_types_of_no_text(text):
    assert resolve_type(text) is None


def test_most_settings_of_both_can_be_written():
    for fields in (megatron_fields(), sglang_fields()):
        assert sum(resolve_type(field.type) is not None for field in fields.values()) > 0.9 * len(fields)


def test_a_value_gets_the_type_of_its_field():
    assert checked(megatron_fields()["layernorm_epsilon"], "1e-6") == 1e-6


def test_a_wrong_value_names_setting_and_type():
    with pytest.raises(ValueError, match=r"`recompute_num_layers` cannot be 'two': .*Optional\[int\]"):
        checked(megatron_fields()["recompute_num_layers"], "two")


def test_a_setting_that_is_no_text_says_so():
    with pytest.raises(ValueError, match="`activation_func` takes a Callable, which is not text"):
        checked(megatron_fields()["activation_func"], "gelu")


def test_an_enum_of_megatrons_takes_the_names_of_its_members():
    assert checked(megatron_fields()["attention_backend"], "flash") == "flash"
    with pytest.raises(ValueError, match="`attention_backend` cannot be 'flesh': Input should be 'flash'"):
        checked(megatron_fields()["attention_backend"], "flesh")


def test_nearest_is_found_however_far_it_is():
    assert nearest("steppes", ["steps", "lr"]) == "steps"
    assert nearest("", ["b", "a"]) in ("a", "b")


def test_nearest_looks_past_the_case():
    assert nearest("SFT-STEPS", ["sft-lr", "sft-steps"]) == "sft-steps"
    assert nearest("Steps", ["STEPS", "step"]) == "STEPS"
