"""Every profile that is shipped is valid, and says what its readers count on."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tasks.disk.layout import Layout
from tasks.profile import load_profile
from training.rollout.sglang.placement import Rank, place_engines
from training.settings.rollout import Engine
from training.settings.sglang import Device

ROOT = Path(__file__).parents[2]
NAMES = sorted(path.stem for path in (ROOT / "infra" / "profiles").glob("*.yaml"))


def profile(name: str):
    return load_profile(Layout(ROOT, name))


@pytest.mark.parametrize("name", NAMES)
def test_a_profile_loads(name):
    assert profile(name).name == name


def test_the_profiles_are_those_that_the_readme_lists():
    readme = (ROOT / "README.md").read_text()
    assert {"cpu", "cpu-sglang", "gemma3-270m", "h200", "qwen3-4b-1n4g", "qwen3-4b-2n16g"} <= set(NAMES)
    assert [name for name in NAMES if f"`{name}`" not in readme] == []


def test_cpu_sglang_is_the_cpu_night_with_another_engine():
    cpu, served = (profile(name).model_dump(exclude={"name"}) for name in ("cpu", "cpu-sglang"))
    assert served["rollout"]["engine"] is Engine.SGLANG and served["sglang"]["device"] is Device.CPU
    served["rollout"]["engine"] = cpu["rollout"]["engine"]
    served["sglang"] = cpu["sglang"]
    assert served == cpu


@pytest.mark.parametrize(("name", "batch", "gpus"), [("qwen3-4b-1n4g", 32, 4), ("qwen3-4b-2n16g", 256, 16)])
def test_the_qwen3_recipes_keep_their_batch_and_their_gpus(name, batch, gpus):
    settings = profile(name)
    grpo, rollout = settings.grpo, settings.rollout
    assert grpo.prompts_per_step * grpo.samples_per_prompt // grpo.minibatches == batch
    assert rollout.num_engines * rollout.gpus_per_engine == gpus
    each = settings.megatron.nproc_per_node
    training = place_engines(rollout, Device.CUDA, Rank(0, gpus, 0, each), gpus=each, training=True)
    assert sorted(rank for place in training for rank in place.trainer_ranks) == list(range(gpus))
    evaluating = place_engines(rollout, Device.CUDA, Rank(0, 1, 0, 1), gpus=each, training=False)
    assert len(evaluating) * rollout.gpus_per_engine == each
    assert settings.sglang.extra["context_length"] > rollout.max_new_tokens


def test_every_deployment_runs_a_profile_that_exists():
    deployments = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
    assert {deployment["parameters"]["profile"] for deployment in deployments} <= set(NAMES)
