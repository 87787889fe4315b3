import inspect
from pathlib import Path

import pytest
from pydantic import ValidationError

from training.settings.jobs import MegatronSettings, ModelSettings, TrainingSettings
from training.settings.optimization import GrpoSettings, OptimizationSettings, SftSettings
from training.settings.rollout import RolloutSettings

SECTIONS = [ModelSettings, MegatronSettings, SftSettings, GrpoSettings, RolloutSettings]


@pytest.mark.parametrize("section", [*SECTIONS, OptimizationSettings, TrainingSettings])
def test_every_field_says_what_it_is(section):
    source = Path(inspect.getfile(section)).read_text()
    for name in section.__annotations__:
        if name not in section.model_fields:
            continue
        _, _, after = source.partition(f"class {section.__name__}")
        _, _, after = after.partition(f"    {name}:")
        _, _, after = after.partition("\n")
        assert after.lstrip().startswith('"""'), f"{section.__name__}.{name} has no docstring"


@pytest.mark.parametrize("section", SECTIONS)
def test_defaults_are_complete(section):
    assert section() == section()


@pytest.mark.parametrize("section", [ModelSettings, SftSettings, GrpoSettings, RolloutSettings])
def test_an_unknown_setting_is_an_error(section):
    with pytest.raises(ValidationError, match="learning_rat"):
        section(learning_rat=1.0)


def test_settings_are_immutable():
    with pytest.raises(ValidationError):
        SftSettings().steps = 3


def test_fields_of_megatrons_configs_are_accepted():
    settings = MegatronSettings(
        recompute_granularity="full", overlap_grad_reduce=True, log_num_zeros_in_grad=True
    )
    assert settings.extra == {
        "recompute_granularity": "full",
        "overlap_grad_reduce": True,
        "log_num_zeros_in_grad": True,
    }


def test_a_misspelt_megatron_field_names_the_nearest():
    with pytest.raises(ValidationError, match="nearest valid name is `tensor_model_parallel_size`"):
        MegatronSettings(tensor_model_paralel_size=2)


def test_processes_must_fit_the_parallel_sizes():
    with pytest.raises(ValidationError, match="nproc_per_node 3 is not a multiple"):
        MegatronSettings(nproc_per_node=3, tensor_model_parallel_size=2)


def test_sequence_parallelism_needs_tensor_parallelism():
    with pytest.raises(ValidationError, match="sequence_parallel needs tensor_model_parallel_size above 1"):
        MegatronSettings(sequence_parallel=True)


@pytest.mark.parametrize(
    ("section", "given", "complaint"),
    [
        (SftSettings, {"lr": 1e-5, "min_lr": 1e-4}, "min_lr 0.0001 is above lr 1e-05; lower it"),
        (SftSettings, {"seed": -1}, "greater than or equal to 0"),
        (GrpoSettings, {"seed": 2**32}, "less than 4294967296"),
        (ModelSettings, {"seed": -1}, "greater than or equal to 0"),
        (GrpoSettings, {"samples_per_prompt": 1}, "greater than or equal to 2"),
        (GrpoSettings, {"max_staleness": 2}, "max_staleness 2 bounds nothing without asynchronous"),
        (
            GrpoSettings,
            {"stop_entropy_below": 1.0, "stop_entropy_above": 0.5},
            "stop_entropy_below 1 is not below stop_entropy_above 0.5",
        ),
        (
            RolloutSettings,
            {"engine_urls": ["http://a"]},
            "engine_urls name SGLang servers, but engine is local",
        ),
        (
            MegatronSettings,
            {"recompute_method": "uniform"},
            "without recompute_granularity recomputes nothing",
        ),
        (
            MegatronSettings,
            {"recompute_granularity": "selective", "recompute_modules": ["mlp", "layernorm"]},
            "recompute_modules cannot have layernorm; the modules are core_attn, mlp",
        ),
        (RolloutSettings, {"top_k": 0}, "top_k must be at least 1, or -1 for off"),
        (RolloutSettings, {"top_p": 0.0}, "greater than 0"),
        (
            TrainingSettings,
            {"grpo": {"overlong_buffer": 200}, "rollout": {"max_new_tokens": 160}},
            "grpo.overlong_buffer 200 exceeds rollout.max_new_tokens 160",
        ),
    ],
)
def test_settings_that_make_no_sense_are_refused(section, given, complaint):
    with pytest.raises(ValidationError, match=complaint):
        section(**given)


@pytest.mark.parametrize("bad", [{"num_attention_heads": 3, "num_key_value_heads": 2}, {"head_dim": 33}])
def test_an_impossible_shape_is_an_error(bad):
    with pytest.raises(ValidationError):
        ModelSettings(**bad)


def test_a_resolved_file_gives_the_settings_back():
    settings = TrainingSettings(
        megatron=MegatronSettings(nproc_per_node=4, recompute_granularity="full"),
        grpo=GrpoSettings(dual_clip=3.0, shuffle_rewards=True),
    )
    assert TrainingSettings.model_validate_json(settings.model_dump_json()) == settings


def test_greedy_decoding_leaves_training_logits_as_they_are():
    assert RolloutSettings(temperature=0.0).training_temperature == 1.0
    assert RolloutSettings(temperature=0.7).training_temperature == 0.7


def test_engines_that_share_the_trainers_gpus_cannot_be_asynchronous():
    grpo, shared = GrpoSettings(asynchronous=True, importance_cap=2.0), RolloutSettings(engine="sglang")
    with pytest.raises(ValueError, match=r"set rollout\.colocate: false"):
        TrainingSettings(grpo=grpo, rollout=shared)
    TrainingSettings(grpo=grpo, rollout=shared, sglang={"device": "cpu"})
    TrainingSettings(grpo=grpo, rollout=RolloutSettings(engine="sglang", colocate=False))
