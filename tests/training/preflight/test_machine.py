"""How many GPUs there are, asked of the environment and of /dev."""

from __future__ import annotations

import pytest

from evaluation.errors import WarpsmithError
from evaluation.settings import EvaluationSettings
from training.preflight import machine
from training.settings.jobs import MegatronSettings, TrainingSettings


def test_processes_need_a_gpu_each_where_there_are_any(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    machine.check_gpus(MegatronSettings(nproc_per_node=2))
    with pytest.raises(WarpsmithError, match="is 4, but this machine has 2 GPU"):
        machine.check_gpus(MegatronSettings(nproc_per_node=4))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    machine.check_gpus(MegatronSettings(nproc_per_node=4))


def test_bfloat16_is_refused_where_there_is_no_gpu(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    machine.check_gpus(MegatronSettings(nproc_per_node=1, bf16=True))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(
        WarpsmithError, match=r"^`megatron\.bf16`: this needs an NVIDIA GPU.* add `--no-bf16`"
    ):
        machine.check_gpus(MegatronSettings(nproc_per_node=1, bf16=True))


@pytest.mark.parametrize(
    ("rollout", "trainers", "lack"),
    [
        ({"num_engines": 2, "colocate": True}, 4, None),
        ({"num_engines": 2, "colocate": False}, 2, None),
        ({"num_engines": 2, "colocate": False}, 3, "need 2 GPUs beside the 3 that train, but .* has 4;"),
        ({"num_engines": 8, "gpus_per_engine": 2}, 4, "need 16 GPUs, but this machine has 4;"),
        ({"num_engines": 4, "colocate": True}, 2, "need 4 GPUs, but only 2 train"),
        ({"num_engines": 8, "engine_urls": ["http://gpu-machine:30000"]}, 4, None),
    ],
)
def test_engines_need_gpus_beside_the_trainers_or_on_them(monkeypatch, rollout, trainers, lack):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2,3")
    sections = {"rollout": {"engine": "sglang", **rollout}, "megatron": {"nproc_per_node": trainers}}
    settings = TrainingSettings.model_validate(sections)
    if lack is None:
        machine.check_gpu_users(settings, EvaluationSettings())
    else:
        with pytest.raises(WarpsmithError, match=lack):
            machine.check_gpu_users(settings, EvaluationSettings())


SERVED = {"rollout": {"engine": "sglang"}}
CUDA = EvaluationSettings(backend="cuda")


@pytest.mark.parametrize(
    ("sections", "evaluation", "named"),
    [
        ({}, CUDA, "`evaluation.backend: cuda`: this"),
        (SERVED, EvaluationSettings(), "`sglang.device: cuda`: this"),
        (SERVED, CUDA, "`evaluation.backend: cuda` and `sglang.device: cuda`: this"),
    ],
)
def test_what_needs_a_gpu_is_refused_where_there_is_none(monkeypatch, sections, evaluation, named):
    settings = TrainingSettings.model_validate(sections)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    machine.check_gpu_users(settings, evaluation)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(WarpsmithError, match=f"^{named} needs an NVIDIA GPU"):
        machine.check_gpu_users(settings, evaluation)


@pytest.mark.parametrize(
    "sections",
    [
        {},
        {**SERVED, "sglang": {"device": "cpu"}},
        {"rollout": {"engine": "sglang", "engine_urls": ["http://gpu-machine:30000"]}},
    ],
)
def test_what_needs_no_gpu_of_this_machine_passes(monkeypatch, sections):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    machine.check_gpu_users(TrainingSettings.model_validate(sections), EvaluationSettings())


def asynchronous(trainers: int, **rollout: object) -> TrainingSettings:
    sections = {
        "grpo": {"asynchronous": True, "importance_cap": 2.0},
        "megatron": {"nproc_per_node": trainers},
        "rollout": {"engine": "sglang", "colocate": False, **rollout},
    }
    return TrainingSettings.model_validate(sections)


@pytest.mark.parametrize(
    ("settings", "devices", "judging"),
    [
        (TrainingSettings.model_validate(SERVED), (), (0, 1, 2, 3)),
        (TrainingSettings.model_validate(SERVED), (1,), (1,)),
        (asynchronous(2), (), (3,)),
        (asynchronous(1), (1, 2), (2,)),
        (asynchronous(2, engine="local"), (), (2, 3)),
        (asynchronous(2, engine_urls=["http://gpu-machine:30000"]), (), (2, 3)),
    ],
)
def test_kernels_are_timed_where_nothing_trains_meanwhile(monkeypatch, settings, devices, judging):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2,3")
    evaluation = EvaluationSettings(backend="cuda", devices=devices)
    assert machine.judging_gpus(settings, evaluation) == judging


def test_a_gpu_that_trains_times_nothing(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2,3")
    full = asynchronous(2, num_engines=2)
    with pytest.raises(WarpsmithError, match=r"first 4 GPUs while kernels are timed, .* none of its own"):
        machine.check_gpu_users(full, CUDA)
    untimed = EvaluationSettings(backend="cuda", rewards={"speed_weight": 0.0})
    machine.check_gpu_users(full, untimed)
    assert machine.judging_gpus(full, untimed) == (0, 1, 2, 3)
    machine.check_gpu_users(asynchronous(2, num_engines=2, reward_function="module:function"), CUDA)
