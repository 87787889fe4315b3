"""What only a GPU computes: fused kernels, packed attention, the fused optimizer, bfloat16."""

import pytest
import torch
from megatron.core.tensor_parallel import model_parallel_cuda_manual_seed

from tests.training.optimize.test_trainer import STEPS, reference
from tests.training.parallel import layout_name, source
from tests.training.parallel_worker import DISTRIBUTED, PLAIN
from tests.training.tiny import load_hf_weights, random_examples
from training.checkpoint.gather import hf_weights
from training.checkpoint.snapshots import Progress, Snapshots
from training.launch.local import run_processes
from training.model.attention import CausalAttention, packed_parameters
from training.model.kernels import open_kernels, plain_rms_norm, plain_rotate
from training.model.logits import fused_statistics, label_entropy, label_logprobs
from training.model.weight_gradients import add_product, product
from training.objective.batch import Example, pack
from training.objective.losses import sft_loss
from training.optimize.trainer import Trainer
from training.settings.architecture import Architecture, read_architecture
from training.settings.jobs import FusedKernels, MegatronSettings
from training.settings.optimization import SftSettings

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU"),
]
needs_two_gpus = pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two NVIDIA GPUs")
CHOICES = [FusedKernels.LIGER, FusedKernels.COMPILE]
#: Tensor parallel, pipeline parallel, and a mode of `parallel_worker.MODES`, each on two GPUs.
ON_TWO_GPUS = [(2, 1, PLAIN), (2, 1, "sequence"), (1, 2, PLAIN), (1, 1, PLAIN), (1, 1, DISTRIBUTED)]


def kernels(choice):
    if choice is FusedKernels.LIGER:
        pytest.importorskip("liger_kernel", reason="needs liger-kernel")
    return open_kernels(choice)


def draw(*shape, dtype=torch.float32):
    return torch.randn(*shape, device="cuda", dtype=dtype)


def gradients(function, *inputs):
    """Outputs and gradients of inputs, for a random but fixed direction of the outputs."""
    leaves = [x.clone().requires_grad_() for x in inputs]
    outputs = function(*leaves)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    torch.manual_seed(1)
    return [*outputs, *torch.autograd.grad(outputs, leaves, [torch.randn_like(x) for x in outputs])]


@pytest.mark.parametrize("choice", CHOICES)
@pytest.mark.parametrize("shape", [(300, 2, 256), (130, 1, 8, 128)])
def test_fused_norms_are_pytorchs(choice, shape):
    norm = kernels(choice).rms_norm
    inputs = draw(*shape), draw(shape[-1])
    for got, expected in zip(
        gradients(lambda x, w: norm(x.contiguous(), w, 1e-6), *inputs),
        gradients(lambda x, w: plain_rms_norm(x, w, 1e-6), *inputs),
        strict=True,
    ):
        torch.testing.assert_close(got, expected, atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize("choice", CHOICES)
@pytest.mark.parametrize("sequences", [1, 3])
def test_fused_rotary_embeddings_are_the_formula(choice, sequences):
    rotate = kernels(choice).rotate
    angles = draw(70, 1, 1, 64).repeat(1, 1, 1, 2)
    tables = angles.cos(), angles.sin()
    inputs = draw(70, sequences, 4, 128), draw(70, sequences, 2, 128)
    for got, expected in zip(
        gradients(lambda q, k: rotate(q * 1, k * 1, *tables), *inputs),
        gradients(lambda q, k: plain_rotate(q, k, *tables), *inputs),
        strict=True,
    ):
        torch.testing.assert_close(got, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("tokens", [1, 257, 640])
def test_fused_loss_statistics_are_those_of_log_softmax(single_process, tokens):
    labels = torch.randint(5000, (tokens,), device="cuda")
    logits = 3 * draw(tokens, 5000)
    got = gradients(lambda x: fused_statistics(x, labels, 0.7)[0], logits)
    expected = gradients(lambda x: label_logprobs(x, labels, 0.7), logits)
    for one, other in zip(got, expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)
    entropies = fused_statistics(logits, labels, 0.7)[1]
    torch.testing.assert_close(entropies, label_entropy(logits, 0.7), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("lengths", [(1, 300, 77, 12), (256, 256, 256), (40,)])
def test_packed_sequences_do_not_see_each_other(lengths):
    core, total = CausalAttention(None), sum(lengths)
    examples = [Example((3,), (3,) * length) for length in lengths]
    packed = packed_parameters(pack(examples, "cuda").packing)
    shapes = [(total, 1, 8, 128), (total, 1, 2, 128), (total, 1, 2, 128)]
    inputs = [draw(*shape, dtype=torch.bfloat16) for shape in shapes]

    def apart(*qkv):
        parts = zip(*(x.split(lengths) for x in qkv), strict=True)
        return torch.cat([core(*(x.float() for x in part)) for part in parts])

    got = gradients(lambda *qkv: core(*qkv, packed_seq_params=packed).float(), *inputs)
    for one, other in zip(got, gradients(apart, *inputs), strict=True):
        torch.testing.assert_close(one.float(), other.float(), atol=6e-2, rtol=3e-2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_products_are_added_up_in_float32(dtype):
    left, right = draw(64, 300, dtype=dtype), draw(300, 48, dtype=dtype)
    exact = left.double() @ right.double()
    total = product(left, right)
    torch.testing.assert_close(total.double(), exact, atol=1e-3, rtol=1e-4)
    add_product(total, left, right)
    torch.testing.assert_close(total.double(), 2 * exact, atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize("choice", [FusedKernels.NONE, *CHOICES])
def test_steps_are_transformers_steps(single_process, hf_dir, choice):
    kernels(choice)
    architecture = read_architecture(hf_dir)
    megatron = MegatronSettings(nproc_per_node=1, fused_kernels=choice, max_logits=96 * 150)
    settings = SftSettings(lr=1e-3, warmup_steps=1, decay_fraction=0.0, micro_batch_size=4, weight_decay=0.1)
    trainer = Trainer(architecture, megatron, settings, STEPS)
    load_hf_weights(trainer.model, hf_dir)
    trainer.weights_changed()
    steps = [sft_step(trainer, random_examples(13)) for _ in range(STEPS)]
    assert_transformers_steps(steps, dict(hf_weights(trainer.model, architecture)))


def assert_transformers_steps(steps, trained):
    for step, expected in zip(steps, reference()[0], strict=True):
        assert step["loss"] == pytest.approx(expected["loss"], abs=1e-4)
        assert step["grad_norm"] == pytest.approx(expected["grad_norm"], rel=1e-3)
    for name, value in trained.items():
        torch.testing.assert_close(value.cpu(), reference()[1][name], atol=2e-4, rtol=0, msg=name)


@pytest.fixture(scope="module")
def two_gpus(tmp_path_factory):
    """A folder with the results of two processes on a GPU each, in all layouts."""
    folder = tmp_path_factory.mktemp("two-gpus")
    names = [layout_name(*layout) for layout in ON_TWO_GPUS]
    arguments = [str(source()), str(folder), *names]
    run_processes("tests.training.parallel_worker", arguments, 2, folder / "stderr.log")
    return folder


@needs_two_gpus
@pytest.mark.parametrize("layout", ON_TWO_GPUS)
def test_steps_on_two_gpus_are_transformers_steps(two_gpus, layout):
    result = torch.load(two_gpus / f"{layout_name(*layout)}.pt")
    assert_transformers_steps(result["steps"], result["trained"])
    if layout[2] == DISTRIBUTED:
        straight, restored = result["next"]
        assert restored["loss"] == pytest.approx(straight["loss"], rel=1e-3)


def sft_step(trainer, examples):
    tokens = sum(len(example.response) for example in examples)
    return trainer.step(examples, lambda logprobs, _, t: sft_loss(logprobs, t.mask, normalizer=tokens))


def small_architecture() -> Architecture:
    return Architecture(3, 256, 512, 4, 2, 128, 2000, 1024, 1e4, 1e-6, True, "bfloat16")


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("recompute", [False, True])
def test_bfloat16_learns_the_same_packed_or_not_and_recomputed(single_process, packed, recompute):
    options = {"recompute_granularity": "full", "recompute_method": "uniform", "recompute_num_layers": 1}
    losses = []
    for chosen in ({}, {"use_dynamic_batch_size": packed, **(options if recompute else {})}):
        torch.manual_seed(0)
        model_parallel_cuda_manual_seed(0)
        megatron = MegatronSettings(nproc_per_node=1, bf16=True, max_tokens_per_gpu=600, **chosen)
        settings = SftSettings(lr=1e-3, warmup_steps=1, decay_fraction=0.0, micro_batch_size=16)
        trainer = Trainer(small_architecture(), megatron, settings, 20)
        batch = random_examples(24, vocabulary=2000)
        losses.append([sft_step(trainer, batch)["loss"] for _ in range(20)])
    first, second = losses
    assert first[-1] < first[0] - 0.5
    assert second == pytest.approx(first, rel=1e-2)


def test_a_resumed_run_goes_on_with_the_same_loss(single_process, tmp_path):
    def trainer(seed: int) -> Trainer:
        torch.manual_seed(seed)
        model_parallel_cuda_manual_seed(seed)
        megatron = MegatronSettings(nproc_per_node=1, bf16=True, use_dynamic_batch_size=True)
        return Trainer(small_architecture(), megatron, SftSettings(lr=1e-3, warmup_steps=1), 20)

    first, batch = trainer(0), random_examples(24, vocabulary=2000)
    snapshots = Snapshots(tmp_path, keep=1, fingerprint="x")
    for _ in range(5):
        sft_step(first, batch)
    snapshots.save(first, Progress(5, {"count": 24, "seed": 0, "drawn": 0}))
    expected = [sft_step(first, batch)["loss"] for _ in range(3)]
    second = trainer(1)
    Snapshots(tmp_path, keep=1, fingerprint="x").restore(second)
    resumed = [sft_step(second, batch)["loss"] for _ in range(3)]
    assert resumed[0] == pytest.approx(expected[0], rel=1e-3)
    assert resumed == pytest.approx(expected, rel=1e-2)  # atomic additions round in any order, more each step


def test_memory_does_not_grow_over_steps_of_varying_lengths(single_process):
    megatron = MegatronSettings(nproc_per_node=1, bf16=True, use_dynamic_batch_size=True)
    trainer = Trainer(small_architecture(), megatron, SftSettings(), 100)
    held = []
    for step in range(12):
        sft_step(trainer, random_examples(8, seed=step, vocabulary=2000))
        held.append(torch.cuda.memory_allocated())
    assert held[-1] <= held[2]
