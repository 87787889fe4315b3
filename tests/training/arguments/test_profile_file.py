"""What is refused in a profile's file besides what its settings classes know."""

from __future__ import annotations

import pytest

from evaluation.errors import WarpsmithError
from tasks.profile import Profile
from training.arguments.profile_file import NIGHT_SECTIONS, SECTIONS, read_settings
from training.command import SECTIONS as READ
from training.command import resolve


@pytest.fixture
def profile(tmp_path):
    """Write a profile with all sections and `more` lines, and give its path."""

    def write(more: str = "", **sections: str):
        path = tmp_path / "mine.yaml"
        lines = [f"{name}: {sections.get(name, '{}')}" for name in sorted(SECTIONS)]
        path.write_text("\n".join([*lines, more]))
        return path

    return write


def test_sections_that_do_not_go_together_are_named(profile):
    path = profile(grpo="{overlong_buffer: 200}", rollout="{max_new_tokens: 160}")
    with pytest.raises(
        WarpsmithError, match=r"mine\.yaml: grpo\.overlong_buffer 200 exceeds rollout\.max_new"
    ):
        resolve(str(path), [], frozenset())


def test_the_known_sections_are_those_of_nights_and_of_training():
    assert set(READ) == SECTIONS
    assert Profile.model_fields.keys() - {"name"} == SECTIONS | NIGHT_SECTIONS


@pytest.mark.parametrize(
    ("text", "key"),
    [("grpo: {}\ngrpo: {}", "grpo"), ("data: {seed: 1, seed: 2}", "seed"), ("a:\n  b: 1\n  b: 1", "b")],
)
def test_a_key_that_is_given_twice_is_refused(tmp_path, text, key):
    path = tmp_path / "twice.yaml"
    path.write_text(text)
    with pytest.raises(WarpsmithError, match=f"`{key}` is given twice") as caught:
        read_settings(path)
    assert "\n" not in str(caught.value)


def test_a_mapping_may_be_merged_into_another(tmp_path):
    path = tmp_path / "merged.yaml"
    path.write_text("a: &a {x: 1, y: 2}\nb: {<<: *a, x: 3}")
    assert read_settings(path)["b"] == {"x": 3, "y": 2}


def test_a_section_that_nobody_reads_is_refused(profile):
    hint = "`rollouts` is not a setting; the nearest valid name is `rollout`"
    with pytest.raises(WarpsmithError, match=hint):
        resolve(str(profile("rollouts: {}")), [], frozenset())
    assert "benchmark" in read_settings(profile("benchmark: {}\nnight: n"))


@pytest.mark.parametrize(
    ("section", "text", "setting"),
    [
        ("grpo", "{lr: .inf}", "grpo.lr"),
        ("grpo", "{stop_reward_below: nan}", "grpo.stop_reward_below"),
        ("evaluation", "{time_limit_s: .inf}", "evaluation.time_limit_s"),
        ("sglang", "{mem_fraction_static: .nan}", "sglang.mem_fraction_static"),
        ("sglang", "{bucket_time_to_first_token: [1, .inf]}", "sglang.bucket_time_to_first_token"),
    ],
)
def test_numbers_are_finite(profile, section, text, setting):
    with pytest.raises(WarpsmithError, match=rf"`{setting}` cannot be (inf|nan): it must be a finite number"):
        resolve(str(profile(**{section: text})), [], frozenset())
