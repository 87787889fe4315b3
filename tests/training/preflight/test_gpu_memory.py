"""What a run needs of a GPU, against figures by hand and one that was measured."""

from __future__ import annotations

from pathlib import Path

import pytest

from evaluation.errors import WarpsmithError
from training.command import READS, RunSettings, resolve
from training.preflight import gpu_memory
from training.preflight.gpu_memory import check_memory
from training.settings.architecture import Architecture

PROFILE = str(Path("infra", "profiles", "qwen3-4b-1n4g.yaml"))
QWEN3_4B = Architecture(
    num_layers=36,
    hidden_size=2560,
    ffn_hidden_size=9728,
    num_heads=32,
    num_kv_heads=8,
    head_dim=128,
    vocab_size=151936,
    max_positions=40960,
    rope_theta=1e6,
    norm_eps=1e-6,
    tied=True,
    dtype="bfloat16",
)
GIB = 2**30
QWEN3_4B_PARAMETERS = 4_022_468_096  # as its model card says
A100 = 39.4


def settings(*flags: str) -> RunSettings:
    return resolve(PROFILE, flags, READS["grpo"])


@pytest.fixture
def machine(monkeypatch):
    """A machine with four GPUs of as many GiB as it is told."""

    def lend(gib: float) -> None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2,3")
        monkeypatch.setattr(gpu_memory.Clocks, "memory_bytes", lambda clocks: int(gib * GIB))

    return lend


def test_adapters_alone_have_gradients_and_states(machine):
    """Rank 16 beside all linear layers of Qwen3-4B: 33 M parameters, as PEFT counts them."""
    machine(141)
    chosen = settings("--lora-rank", "16", "--grpo-stop-kl-above", "9")
    needed = gpu_memory.gpu_memory(chosen, QWEN3_4B, chosen.evaluation, 141)
    adapters = 33_030_144
    assert needed.weights == pytest.approx(2 * QWEN3_4B_PARAMETERS / 4 / GIB)  # no second model to refer to
    assert needed.gradients == pytest.approx(4 * adapters / GIB)
    assert needed.optimizer == pytest.approx(12 * adapters / GIB)


def test_the_states_are_the_parameters_times_their_bytes(machine):
    machine(A100)
    chosen = settings()
    needed = gpu_memory.gpu_memory(chosen, QWEN3_4B, chosen.evaluation, A100)
    share = QWEN3_4B_PARAMETERS / 4 / GIB  # TP 4
    assert needed.weights == pytest.approx(2 * share)
    assert needed.gradients == pytest.approx(4 * share)
    assert needed.optimizer == pytest.approx(12 * share)  # float32 weights and two moments
    assert needed.share == pytest.approx(0.45 * (A100 - 1.5 - 10 * share))  # no moments yet
    assert needed.contexts == pytest.approx(1.5 + 2 * 1.0 + 2.0)  # two of eight judges


def test_the_optimizer_is_shared_by_the_replicas(machine):
    machine(A100)
    chosen = settings("--tensor-model-parallel-size", "2")
    needed = gpu_memory.gpu_memory(chosen, QWEN3_4B, None, 80.0)
    assert needed.optimizer == pytest.approx(12 * QWEN3_4B_PARAMETERS / 2 / 2 / GIB)
    assert needed.share == 0 and needed.generating < needed.training


def test_a_pipelines_largest_stage_has_its_layers_and_one_vocabulary(machine):
    machine(A100)
    chosen = settings("--tensor-model-parallel-size", "1", "--pipeline-model-parallel-size", "4",
                      "--no-sequence-parallel")  # fmt: skip
    needed = gpu_memory.gpu_memory(chosen, QWEN3_4B, None, 80.0)
    vocabulary = 151936 * 2560
    layers = (QWEN3_4B_PARAMETERS - vocabulary - 2560) / 4
    assert needed.weights == pytest.approx(2 * (layers + vocabulary) / GIB)


def test_the_peak_of_training_is_near_what_was_measured(machine):
    """Two H200, TP 2 with sequence parallelism, profile qwen3-4b-1n4g: 36.6 GiB allocated at most."""
    machine(139.8)
    chosen = settings("--tensor-model-parallel-size", "2", "--nproc-per-node", "2")
    needed = gpu_memory.gpu_memory(chosen, QWEN3_4B, chosen.evaluation, 139.8)
    tensors = needed.weights + needed.gradients + needed.optimizer + needed.activations
    assert tensors == pytest.approx(36.6, rel=0.03)


def test_qwen3_4b_fits_four_gpus_of_40_gb(machine):
    machine(A100)
    chosen = settings()
    said = check_memory(chosen, QWEN3_4B, chosen.evaluation)
    assert said.startswith("grpo needs of a GPU with 39.4 GiB: weights 1.9, gradients 3.7, optimizer 11.2, ")
    assert "37.2 with a server's share of 12.8" in said
    assert check_memory(chosen, QWEN3_4B, None).startswith("sft needs of a GPU")


@pytest.mark.parametrize(
    ("gib", "flags", "complaint"),
    [
        (A100, ["--sglang-mem-fraction-static", "0.6"], r"a server's share .*lower sglang\.mem_fraction"),
        (A100, ["--evaluation-workers", "32"], r"grpo does not fit .* or evaluation\.workers"),
        (21.0, [], r"raise megatron\.tensor_model_parallel_size, turn on"),
        (A100, ["--tensor-model-parallel-size", "1", "--no-sequence-parallel", "--no-rollout-colocate"],
         r"optimizer 11\.2.*raise megatron\.tensor_model_parallel_size"),
        (A100, ["--sglang-mem-fraction-static", "0.05"], r"mem_fraction_static 0\.05 gives a server 1\.4"),
    ],
)  # fmt: skip
def test_what_cannot_fit_is_refused_in_one_sentence(machine, gib, flags, complaint):
    machine(gib)
    chosen = settings(*flags)
    with pytest.raises(WarpsmithError, match=complaint) as caught:
        check_memory(chosen, QWEN3_4B, chosen.evaluation)
    assert "\n" not in str(caught.value)


def test_a_machine_without_a_gpu_is_not_asked(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    chosen = settings()
    assert check_memory(chosen, QWEN3_4B, chosen.evaluation) is None
