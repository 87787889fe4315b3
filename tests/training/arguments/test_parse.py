"""Flags: what each kind sets, what is refused and how, and that nothing else can happen."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.errors import WarpsmithError
from evaluation.settings import EvaluationSettings
from training.arguments.aliases import ALIASES, HINTS
from training.arguments.catalogue import Group, flag_name, flag_table
from training.arguments.help import settings_help
from training.arguments.parse import changes, read_arguments
from training.arguments.profile_file import validated
from training.command import READS, SECTIONS, RunSettings
from training.settings.optimization import GrpoSettings
from training.settings.rollout import RolloutSettings
from training.settings.upstream import megatron_fields, sglang_fields

BASE = dict(RunSettings())
TABLE = flag_table(SECTIONS)


def read(line: str, **base) -> dict:
    """What a command line changes, without the sections that it leaves alone."""
    overrides = read_arguments(line.split(), BASE | base)
    return {section: values for section, values in overrides.items() if values}


def refusal(line: str, **base) -> str:
    with pytest.raises(WarpsmithError) as caught:
        read(line, **base)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", {}),
        ("--tensor-model-parallel-size 2", {"megatron": {"tensor_model_parallel_size": 2}}),
        ("--sequence-parallel", {"megatron": {"sequence_parallel": True}}),
        ("--recompute-granularity full", {"megatron": {"recompute_granularity": "full"}}),
        ("--moe-layer-freq 1 0 1", {"megatron": {"moe_layer_freq": [1, 0, 1]}}),
        ("--moe-layer-freq 2", {"megatron": {"moe_layer_freq": 2}}),
        ("--no-overlap-grad-reduce", {"megatron": {"overlap_grad_reduce": False}}),
        ("--overlap-grad-reduce false", {"megatron": {"overlap_grad_reduce": False}}),
        ("--overlap-grad-reduce --bf16", {"megatron": {"overlap_grad_reduce": True, "bf16": True}}),
        ("--sglang-mem-fraction-static 0.7", {"sglang": {"mem_fraction_static": 0.7}}),
        ("--sglang-disable-radix-cache", {"sglang": {"disable_radix_cache": True}}),
        ("--grpo-lr=3e-6", {"grpo": {"lr": 3e-6}}),
        ("--rollout-temperature 0.7", {"rollout": {"temperature": 0.7}}),
        ("--evaluation-optimization -O2", {"evaluation": {"optimization": "-O2"}}),
        ("--evaluation-cache-path none", {}),
        ("--rollout-engine-urls http://a http://b", {"rollout": {"engine_urls": ["http://a", "http://b"]}}),
        ("--rollout-engine-urls http://a", {"rollout": {"engine_urls": ["http://a"]}}),
        ("--grpo-steps 4 --grpo-steps 5", {"grpo": {"steps": 5}}),
    ],
)
def test_flags_of_all_three_groups(line, expected):
    assert read(line) == expected


def test_a_nested_setting_is_changed_alone():
    rewards = EvaluationSettings().rewards.model_dump() | {"parsed": 0.15}
    assert read("--evaluation-rewards-parsed 0.15") == {"evaluation": {"rewards": rewards}}


def test_a_mapping_is_written_in_yaml():
    arguments = ["--sglang-mm-process-config", "{image: {max_pixels: 3}}"]
    assert read_arguments(arguments, BASE)["sglang"] == {"mm_process_config": {"image": {"max_pixels": 3}}}


def test_what_is_so_anyway_is_no_change():
    assert read(f"--grpo-steps {GrpoSettings().steps} --no-bf16 --grpo-kl k3") == {}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("--lr 3e-6", {"sft": {"lr": 3e-6}, "grpo": {"lr": 3e-6}}),
        ("--grpo-lr 2e-6 --lr 1e-6", {"sft": {"lr": 1e-6}, "grpo": {"lr": 2e-6}}),
        ("--eps-clip 0.1 --eps-clip-high 0.3", {"grpo": {"clip_low": 0.1, "clip_high": 0.3}}),
        ("--num-rollout 3 --rollout-batch-size 8", {"grpo": {"steps": 3, "prompts_per_step": 8}}),
        ("--advantage-estimator rloo", {"grpo": {"advantage": "rloo"}}),
        ("--advantage-estimator gspo", {"grpo": {"policy_loss": "gspo"}}),
        (
            "--advantage-estimator cispo --grpo-advantage rloo",
            {"grpo": {"policy_loss": "cispo", "advantage": "rloo"}},
        ),
        (
            "--grpo-token-rejection 0.5 5 --use-tis --tis-clip 5",
            {"grpo": {"token_rejection": [0.5, 5.0], "importance_cap": 5.0}},
        ),
        ("--grpo-sequence-rejection 0.999 1.002", {"grpo": {"sequence_rejection": [0.999, 1.002]}}),
        ("--kl-loss-type low_var_kl", {}),
        ("--kl-loss-type k1", {"grpo": {"kl": "k1"}}),
        ("--use-kl-loss --kl-loss-coef 0.001", {"grpo": {"kl_coefficient": 0.001}}),
        ("--use-tis", {"grpo": {"importance_cap": 2.0}}),
        ("--use-tis --tis-clip 3", {"grpo": {"importance_cap": 3.0}}),
        ("--disable-bias-linear", {"megatron": {"add_bias_linear": False}}),
        ("--rollout-max-response-len 64", {"rollout": {"max_new_tokens": 64}}),
        ("--rollout-top-p 0.9 --rollout-top-k 20", {"rollout": {"top_p": 0.9, "top_k": 20}}),
        ("--eval-temperature 0.5 --rollout-seed 3", {"grpo": {"eval_temperature": 0.5, "seed": 3}}),
        ("--attention-backend flash", {"megatron": {"attention_backend": "flash"}}),
        ("--rollout-decode-batch-size 64", {"rollout": {"batch_size": 64}}),
        ("--lr-decay-style constant", {"sft": {"decay_fraction": 0.0}}),
        (
            "--lr-decay-style cosine --grpo-decay-fraction 0.5 --sft-decay-fraction 0.7",
            {
                "sft": {"lr_decay_style": "cosine", "decay_fraction": 0.7},
                "grpo": {"lr_decay_style": "cosine", "decay_fraction": 0.5},
            },
        ),
    ],
)
def test_slimes_and_megatrons_spellings(line, expected):
    assert read(line) == expected


def test_what_is_set_already_is_switched_off():
    grpo = GrpoSettings(kl_coefficient=0.1, importance_cap=2.0)
    assert read("--no-use-kl-loss --no-use-tis", grpo=grpo) == {
        "grpo": {"kl_coefficient": 0.0, "importance_cap": None}
    }


def test_the_global_batch_size_gives_the_steps_of_a_rollout():
    line = "--rollout-batch-size 8 --n-samples-per-prompt 4 --global-batch-size 8"
    expected = {"prompts_per_step": 8, "samples_per_prompt": 4, "minibatches": 4}
    assert read(line) == {"sft": {"batch_size": 8}, "grpo": expected}
    assert "does not divide a rollout of 32 prompts x 8 samples" in refusal("--global-batch-size 30")
    assert "both set `grpo.minibatches`" in refusal("--global-batch-size 64 --num-steps-per-rollout 2")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--grpo-stepz 3", "no flag `--grpo-stepz`; the nearest valid one is `--grpo-steps`"),
        ("--tensor-model-paralel-size 2", "the nearest valid one is `--tensor-model-parallel-size`"),
        ("--sglang-mem-fraction 0.7", "the nearest valid one is `--sglang-mem-fraction-static`"),
        ("--grpo-lr", "`--grpo-lr` needs a value: float"),
        ("--grpo-lr --bf16", "`--grpo-lr` needs a value: float"),
        ("--grpo-lr fast", "`--grpo-lr` cannot be 'fast': Input should be a valid number"),
        ("--grpo-lr -1", "`--grpo-lr` cannot be '-1': Input should be greater than 0"),
        ("--sft-lr inf", "`--sft-lr` cannot be 'inf': it must be a finite number"),
        ("--recompute-granularity half", "cannot be 'half': Input should be 'full' or 'selective'"),
        ("--activation-func gelu", "`--activation-func` takes a Callable, which is not text; leave it out"),
        ("--SFT-STEPS 5", "no flag `--SFT-STEPS`; the nearest valid one is `--sft-steps`"),
        ("--lr-decay-style banana", "cannot be 'banana': it is one of constant, linear, cosine"),
        ("--kl-loss-type k4", "cannot be 'k4': it is one of low_var_kl, k1, k2, k3"),
        ("--advantage-estimator ppo", "cannot be 'ppo': it is one of gspo, cispo, grpo, dr_grpo, rloo"),
        ("--grpo-token-rejection 0.5", "`--grpo-token-rejection` cannot be '0.5'"),
        ("--tis-clip-low 0.5", "no flag `--tis-clip-low`: `--grpo-token-rejection LOW HIGH`"),
        ("--custom-tis-function-path a.icepop", "IcePop is `--grpo-token-rejection 0.5 5 --tis-clip 5`"),
        ("--rm-type math", "no flag `--rm-type`: `--rollout-reward-function` names the reward"),
        ("--seed -1", "`--seed` cannot be '-1': Input should be greater than or equal to 0"),
        ("5", "'5' belongs to no flag"),
        ("--bf16 maybe", "'maybe' belongs to no flag"),
        ("--no-bf16=true", "`--no-bf16` takes no value"),
        ("--tis-clip 3 --no-use-tis", "both set `grpo.importance_cap`; give one of them"),
        (
            "--rollout-max-response-len 5 --rollout-max-new-tokens 6",
            "`--rollout-max-response-len` and `--rollout-max-new-tokens` both set `rollout.max_new_tokens`",
        ),
    ],
)
def test_mistakes_are_one_sentence(line, message):
    assert message in refusal(line)


def test_a_flag_that_the_command_does_not_read_is_refused():
    with pytest.raises(WarpsmithError, match=r"`--sft-lr` sets `sft\.lr`, which this command does not read"):
        read_arguments(["--sft-lr", "1"], BASE, READS["grpo"])
    assert not read_arguments(["--lr", "1"], BASE, READS["grpo"])["sft"]


def test_flags_that_do_not_fit_together_are_named():
    overrides = read("--tensor-model-parallel-size 3")
    sections = {section: {} for section in SECTIONS}
    with pytest.raises(WarpsmithError) as caught:
        validated(RunSettings, sections, Path("p.yaml"), overrides)
    assert str(caught.value).startswith(
        "p.yaml with --tensor-model-parallel-size: `megatron`: nproc_per_node 1 is not a multiple"
    )


def test_changes_are_shown_as_settings():
    assert changes(read("--grpo-steps 5 --bf16")) == "megatron.bf16=True grpo.steps=5"


def test_sft_takes_a_batch_size_that_no_rollout_has():
    overrides = read_arguments(["--global-batch-size", "7"], BASE, READS["sft"])
    assert overrides["sft"] == {"batch_size": 7} and not overrides["grpo"]


def test_hints_are_for_flags_that_do_not_exist_and_name_flags_that_do():
    assert not HINTS.keys() & TABLE.keys()
    of_commands = {"checkpoint", "nnodes", "out-dir", "prompts", "validation"}
    for hint in HINTS.values():
        assert set(re.findall(r"`--([a-z-]+)`", hint)) <= TABLE.keys() | of_commands


def test_help_says_which_fields_of_megatrons_are_fixed():
    text = settings_help(SECTIONS)
    assert (
        "--fp16 (default False)\n        Fixed, because float16 is not covered, bfloat16 is (`bf16`)." in text
    )
    assert "--hidden-dropout float (default 0.1)\n        Follows from config.json" in text


@pytest.mark.parametrize("alias", ALIASES, ids=lambda alias: alias.name)
def test_every_alias_sets_settings_that_exist(alias):
    assert [setting.name for setting in TABLE[alias.name].settings] == list(alias.targets)
    assert all(set(meaning) <= set(alias.targets) for meaning in alias.meanings.values())


def test_no_flag_has_two_meanings():
    rule = {setting.name for flag in TABLE.values() for setting in flag.settings}
    names = Counter([flag_name(name) for name in rule] + [alias.name for alias in ALIASES])
    assert [name for name, count in names.items() if count > 1] == []


def test_every_field_of_all_three_has_a_flag():
    wanted = {name for name in megatron_fields() if not name.startswith("_")}
    assert {name.replace("_", "-") for name in wanted} <= set(TABLE)
    assert {f"sglang-{name.replace('_', '-')}" for name in sglang_fields()} <= set(TABLE)
    ours = {f"grpo.{name}" for name in GrpoSettings.model_fields}
    ours |= {f"rollout.{name}" for name in RolloutSettings.model_fields}
    assert {flag_name(name) for name in ours} <= set(TABLE)


def test_help_lists_every_flag_under_its_group():
    text = settings_help(SECTIONS)
    starts = [text.index(f"{group}: ") for group in Group]
    assert starts == sorted(starts) and starts[0] == 0
    words = set(text.replace(",", " ").split())
    assert {f"--{name}" for name in TABLE} <= words


def test_help_shows_type_default_and_docstring():
    text = settings_help(SECTIONS)
    assert "--grpo-kl, --kl-loss-type k1|k2|k3 (default k3)\n        Estimator of the divergence" in text
    assert "--sglang-mem-fraction-static float | None (default None)" in text
    assert "--recompute-granularity Optional[Literal['full', 'selective']] (default None)" in text
    assert "--rollout-temperature float (default 1.0)\n        Sampling temperature" in text


TOKENS = st.one_of(
    st.sampled_from(sorted(TABLE)).map("--{}".format),
    st.sampled_from(sorted(TABLE)).map("--no-{}".format),
    st.sampled_from(["--", "-", "", "none", "true", "0", "-1", "1e-6", "[", "{", "[1, 2]", "{a: 1}", "a:b"]),
    st.text(max_size=8),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(TOKENS, max_size=4))
def test_any_command_line_gives_overrides_or_our_error(tokens):
    try:
        overrides = read_arguments(tokens, BASE)
        validated(RunSettings, {section: {} for section in SECTIONS}, Path("p.yaml"), overrides)
    except WarpsmithError as error:
        assert "\n" not in str(error)
    else:
        assert set(overrides) == set(SECTIONS)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(TABLE)), st.text(max_size=12))
def test_any_value_of_any_flag_gives_overrides_or_our_error(name, value):
    try:
        read_arguments([f"--{name}={value}"], BASE)
    except WarpsmithError as error:
        assert "\n" not in str(error)
