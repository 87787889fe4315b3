"""A profile is read as it is, and every mistake in one is answered with one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from data.settings import PromptStyle
from evaluation.errors import WarpsmithError
from evaluation.marks import Affects
from tasks.disk.layout import Layout
from tasks.profile import SECTIONS, Profile, load_profile, read_flags

ROOT = Path(__file__).parents[2]


@pytest.fixture
def broken(tmp_path):
    """Write the cpu profile with some sections replaced (None removes one) and give the error it gets."""

    def error(**changes) -> str:
        values = {**yaml.safe_load((ROOT / "infra/profiles/cpu.yaml").read_text()), **changes}
        path = tmp_path / "infra/profiles/cpu.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump({k: v for k, v in values.items() if v is not ...}))
        with pytest.raises(WarpsmithError) as caught:
            load_profile(Layout(tmp_path, "cpu"))
        return str(caught.value)

    return error


@pytest.mark.parametrize("path", sorted((ROOT / "infra/profiles").glob("*.yaml")), ids=lambda p: p.stem)
def test_every_shipped_profile_is_valid(path):
    assert load_profile(Layout(ROOT, path.stem)).name == path.stem


@pytest.mark.parametrize("path", sorted((ROOT / "infra/profiles").glob("*.yaml")), ids=lambda p: p.stem)
def test_every_shipped_profile_has_every_section_because_dvc_needs_it(path):
    """No stage reads `gate` and `budget`, so they may be left out."""
    assert set(yaml.safe_load(path.read_text())) | {"gate", "budget"} == set(Profile.model_fields) - {"name"}


def test_unknown_profile_names_the_nearest():
    with pytest.raises(WarpsmithError, match="no profile `cpuu`; the nearest valid name is `cpu`"):
        load_profile(Layout(ROOT, "cpuu"))


def test_misspelt_setting_names_the_nearest(broken):
    assert "`grpo.clip_hihg` is not a setting; the nearest valid name is `grpo.clip_high`" in broken(
        grpo={"clip_hihg": 1}
    )


def test_misspelt_nested_setting_names_the_nearest(broken):
    assert "the nearest valid name is `data.heldout.level2`" in broken(data={"heldout": {"levl2": 1}})


def test_misspelt_section_is_named_rather_than_the_missing_one(broken):
    assert "`gpro` is not a setting; the nearest valid name is `grpo`" in broken(grpo=..., gpro={})


def test_missing_section_says_what_to_add(broken):
    assert "`sft` is missing; add `sft: {}`" in broken(sft=...)


def test_empty_section_says_what_to_write(broken):
    assert "`sft` is empty; write `sft: {}`" in broken(sft=None)


def test_wrong_value_is_shown_with_the_reason(broken):
    message = broken(sft={"lr": "fast"})
    assert "`sft.lr` cannot be 'fast'" in message and "number" in message


def test_error_is_one_line(broken):
    assert "\n" not in broken(sft={"lr": "fast"}, grpo={"a": 1}, data={"b": 1})


def test_file_that_is_not_yaml(tmp_path):
    path = tmp_path / "infra/profiles/cpu.yaml"
    path.parent.mkdir(parents=True)
    path.write_text("a: [")
    with pytest.raises(WarpsmithError, match="is not YAML"):
        load_profile(Layout(tmp_path, "cpu"))


def test_unquoted_date_is_a_name(tmp_path):
    text = (ROOT / "infra/profiles/cpu.yaml").read_text().replace('"2026-01-01"', "2026-02-03")
    path = tmp_path / "infra/profiles/cpu.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    assert load_profile(Layout(tmp_path, "cpu")).night == "2026-02-03"


def test_sections_are_plain_values():
    profile = load_profile(Layout(ROOT, "cpu"))
    sections = profile.sections(Affects.RESULT, ["grpo", "data"])
    assert yaml.safe_load(yaml.safe_dump(sections)).keys() == {"grpo", "data"}


def test_sections_that_contradict_each_other_are_named():
    with pytest.raises(WarpsmithError, match="overlong_buffer"):
        read_flags(Layout(ROOT, "cpu"), ["--grpo-overlong-buffer", "100000"])


def test_a_reward_that_does_not_judge_the_task_is_named(broken):
    wanted = "rollout.reward_function kernel does not judge the prompts of `data.task: math`; set it to math"
    assert wanted in broken(data={"task": "math"})
    assert "`data.task: mixed`; set it to mixed" in broken(data={"task": "mixed"})


def contains(settings: dict, expected: dict) -> bool:
    """Whether all of `expected` is in `settings`, whatever there is besides."""
    return all(
        contains(settings[name], value) if isinstance(value, dict) else settings[name] == value
        for name, value in expected.items()
    )


def test_the_cpu_night_is_what_it_was_before_the_code_had_defaults_for_real_models():
    expected = yaml.safe_load((Path(__file__).parent / "cpu_night.yaml").read_text())
    assert contains(load_profile(Layout(ROOT, "cpu")).sections(Affects.RESULT), expected)


def test_the_code_assumes_no_tiny_model(broken):
    assert "model.hf_checkpoint, or for a random one model.vocab_size" in broken(model={})
    sections = {name: {} for name in SECTIONS} | {"model": {"hf_checkpoint": "models/Qwen3-4B"}}
    profile = Profile(name="real", night="n", **sections)
    assert profile.sft.lr <= 1e-5 and profile.grpo.lr <= 1e-6 and profile.sft.max_length >= 4096
    assert profile.rollout.max_new_tokens >= 4096 and profile.grpo.mismatch_tolerance >= 0.05
    assert profile.data.prompt_style is PromptStyle.FULL and profile.data.unguarded_share == 0
    assert profile.data.refuse_idle_inputs and profile.megatron.nproc_per_node == 1
