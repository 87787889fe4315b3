"""Speed and memory of a training step on one GPU, at the shapes of Qwen3, with random weights.

    python -m tests.benchmarks.bench_trainer speed [--models 0.6B 1.7B 4B] [--variants NAME ...] [--json FILE]
    python -m tests.benchmarks.bench_trainer profile --models 1.7B [--variants NAME]
    python -m tests.benchmarks.bench_trainer memory [--models 0.6B] [--steps 200]

`speed` takes whole optimizer steps (forward, backward, gradient norm, clipping, AdamW with float32 master
weights) on sequences of 4 096 tokens, all learnt, in bfloat16. MFU is the model FLOPs (`model_flops`;
recomputation does not count) over the step's time and the rate of an 8192 x 8192 x 8192 bfloat16 product
measured just before.

Each model is measured in a process of its own; a variant that fails, fails alone. `hf` is transformers' model
with PyTorch's fused AdamW over float32 master weights and no gradient accumulation.
"""

from __future__ import annotations

import argparse
import dataclasses
import gc
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from megatron.core.tensor_parallel import model_parallel_cuda_manual_seed
from torch.nn.attention import SDPBackend

from tests.benchmarks.qwen3_shapes import MODELS, Model, hf_config, matmul_rate, model_flops
from tests.training.tiny import one_process
from training.model import attention
from training.objective.batch import Example, Tokens
from training.objective.losses import LossOutput, sft_loss
from training.optimize.trainer import Trainer
from training.settings.jobs import FusedKernels, MegatronSettings
from training.settings.optimization import SftSettings

WARM_UP_STEPS = 3
TIMED_STEPS = 5


@dataclasses.dataclass(frozen=True)
class Variant:
    """One way to compute the same step."""

    kernels: FusedKernels
    attention: str
    """flash or cudnn, and nothing else; any leaves the choice to the code."""
    at_once: int
    """Sequences in one micro-batch."""
    chunked: bool = True
    """Whether the head works in pieces."""
    options: tuple[tuple[str, Any], ...] = ()
    """More `megatron:` settings."""


_RECOMPUTE_NORMS = (("recompute_granularity", "selective"), ("recompute_modules", ("layernorm",)))
VARIANTS = {
    "plain": Variant(FusedKernels.NONE, "flash", 4, chunked=False),
    "chunked": Variant(FusedKernels.NONE, "flash", 4),
    "compile-flash-4": Variant(FusedKernels.COMPILE, "flash", 4),
    "compile-cudnn-4": Variant(FusedKernels.COMPILE, "cudnn", 4),
    "liger-cudnn-4": Variant(FusedKernels.LIGER, "cudnn", 4),
    "liger-flash-2": Variant(FusedKernels.LIGER, "flash", 2),
    "compile-cudnn-2": Variant(FusedKernels.COMPILE, "cudnn", 2),
    "liger-cudnn-2": Variant(FusedKernels.LIGER, "cudnn", 2),
    "liger-cudnn-2-norms": Variant(FusedKernels.LIGER, "cudnn", 2, options=_RECOMPUTE_NORMS),
    "liger-cudnn-1": Variant(FusedKernels.LIGER, "cudnn", 1),
    "default-2": Variant(FusedKernels.AUTO, "any", 2),
}
HF = "hf"
FOR_MODEL = {
    "0.6B": ["plain", "compile-cudnn-4", "liger-cudnn-4", "liger-cudnn-2", "liger-cudnn-1", HF],
    "1.7B": [*VARIANTS, HF],
    "4B": ["plain", "compile-cudnn-2", "liger-cudnn-2", "liger-cudnn-1"],
    "tiny": ["plain", "chunked", "default-2", HF],
}


def build(model: Model, variant: Variant) -> Trainer:
    """Our trainer with weights as Megatron draws them, from the same seed for every variant."""
    torch.manual_seed(0)
    if torch.cuda.is_available():
        model_parallel_cuda_manual_seed(0)
    settings = MegatronSettings(
        nproc_per_node=1,
        bf16=torch.cuda.is_available(),
        use_dynamic_batch_size=True,
        max_tokens_per_gpu=model.length * variant.at_once,
        fused_kernels=variant.kernels if torch.cuda.is_available() else FusedKernels.AUTO,
        max_logits=2**29 if variant.chunked else 2**50,
        **dict(variant.options),
    )
    optimization = SftSettings(lr=1e-5, warmup_steps=0, decay_fraction=0.0)
    return Trainer(model.architecture, settings, optimization, 1000)


def examples(model: Model, lengths: list[int]) -> list[Example]:
    """Random sequences of which all but the first token is learnt."""
    generator = torch.Generator().manual_seed(0)
    vocabulary = model.architecture.vocab_size
    rows = [torch.randint(vocabulary, (length,), generator=generator).tolist() for length in lengths]
    return [Example(tuple(row[:1]), tuple(row[1:])) for row in rows]


def sft_step(trainer: Trainer, batch: list[Example]) -> dict[str, float]:
    """One step of supervised fine-tuning, as `training.sft` takes it."""
    tokens = sum(len(example.response) for example in batch)

    def loss(logprobs: torch.Tensor, _entropies: torch.Tensor, predicted: Tokens) -> LossOutput:
        return sft_loss(logprobs, predicted.mask, normalizer=tokens)

    return trainer.step(batch, loss)


@contextmanager
def only_attention(name: str) -> Iterator[None]:
    """Within it no other attention kernel is used, so that what is not supported fails."""
    backend = {"flash": SDPBackend.FLASH_ATTENTION, "cudnn": SDPBackend.CUDNN_ATTENTION}.get(name)
    with ExitStack() as stack:
        if backend is not None:
            for order in ("_CUDNN_FIRST", "_FLASH_FIRST"):
                stack.enter_context(mock.patch.object(attention, order, [backend]))
        yield


def hf_stepper(model: Model) -> Any:
    """A step of transformers' model: bfloat16 weights, float32 master weights, fused AdamW, clipping."""
    from transformers import Qwen3ForCausalLM

    config = hf_config(model.architecture)
    config.use_cache = False
    device = "cuda" if torch.cuda.is_available() else "cpu"
    with torch.device(device):
        network = Qwen3ForCausalLM(config).to(torch.bfloat16).train()
    weights = list(network.parameters())
    masters = [weight.detach().clone().float() for weight in weights]
    optimizer = torch.optim.AdamW(masters, lr=1e-5, fused=True)
    ids = torch.tensor([[*one.prompt, *one.response] for one in _batch(model)], device=device)
    inputs, labels = ids[:, :-1].contiguous(), ids[:, 1:].contiguous()

    def step() -> dict[str, float]:
        loss = network(input_ids=inputs, labels=labels, shift_labels=labels).loss
        loss.backward()
        for master, weight in zip(masters, weights, strict=True):
            master.grad, weight.grad = weight.grad.float(), None
        norm = torch.nn.utils.clip_grad_norm_(masters, 1.0)
        optimizer.step()
        with torch.no_grad():
            torch._foreach_copy_(weights, masters)
        return {"loss": loss.item(), "grad_norm": norm.item()}

    return step


def _batch(model: Model) -> list[Example]:
    return examples(model, [model.length + 1] * model.sequences)


@contextmanager
def stepper(model: Model, name: str) -> Iterator[Any]:
    """A function that takes one step of the named variant."""
    if name == HF:
        yield hf_stepper(model)
        return
    with only_attention(VARIANTS[name].attention if torch.cuda.is_available() else "any"):
        trainer, batch = build(model, VARIANTS[name]), _batch(model)
        yield lambda: sft_step(trainer, batch)


def measure(model: Model, name: str, rate: float) -> dict[str, Any]:
    """Time and memory of a variant's steps."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    with stepper(model, name) as step:
        started = time.perf_counter()
        reports = [step() for _ in range(WARM_UP_STEPS)]
        warm = time.perf_counter() - started
        seconds = [_timed(step) for _ in range(TIMED_STEPS)]
    typical = statistics.median(seconds)
    flops = model_flops(model)
    return {
        "ms": typical * 1e3,
        "ms_all": [one * 1e3 for one in seconds],
        "warm_up_s": warm,
        "tflops": flops / typical / 1e12,
        "mfu": flops / typical / rate,
        "tokens_per_s": model.sequences * model.length / typical,
        "peak_gib": _memory("max_memory_allocated"),
        "reserved_gib": _memory("max_memory_reserved"),
        "losses": [report["loss"] for report in reports],
        "grad_norms": [report["grad_norm"] for report in reports],
    }


def _timed(step: Any) -> float:
    """Seconds of a step; it ends by reading its loss, that is when the GPU has done it but for the update."""
    _synchronize()
    start = time.perf_counter()
    step()
    _synchronize()
    return time.perf_counter() - start


def _synchronize() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _memory(name: str) -> float:
    if not torch.cuda.is_available():
        return float("nan")
    return float(getattr(torch.cuda, name)()) / 2**30


def _clean_up() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def run_variants(model_name: str, names: list[str]) -> None:
    """Measure variants in this process; one line of JSON each."""
    rate = matmul_rate()
    with one_process():
        for name in names:
            record: dict[str, Any] = {"model": model_name, "variant": name, "peak_tflops": rate / 1e12}
            try:
                record |= measure(MODELS[model_name], name, rate)
            except Exception as error:  # another variant may work
                record["error"] = f"{type(error).__name__}: {error}"[:600]
            print(json.dumps(record), flush=True)
            _clean_up()
            if "error" in record and not _device_works():
                return


def _device_works() -> bool:
    try:
        _synchronize()
    except RuntimeError:
        return False
    return True


def speed(options: argparse.Namespace) -> None:
    """Measure models in processes of their own, and print a table."""
    records = []
    for model in options.models:
        waiting = list(options.variants or FOR_MODEL[model])
        while waiting:
            done = _in_child(model, waiting, options.timeout)
            failed = [{"model": model, "variant": waiting[0], "error": "no result"}] if not done else []
            records += done + failed
            waiting = waiting[len(done + failed) :]
    if options.json:
        options.json.write_text("".join(json.dumps(record) + "\n" for record in records))
    print(table(records))


def _in_child(model: str, names: list[str], timeout: float) -> list[dict[str, Any]]:
    """Records of those variants that a child process got through, in order."""
    command = [sys.executable, "-m", "tests.benchmarks.bench_trainer", "child", model, *names]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        records = []
        deadline = time.monotonic() + timeout
        for line in child.stdout:
            if line.startswith("{"):
                records.append(json.loads(line))
                print(line, end="", flush=True)
            if time.monotonic() > deadline:
                child.kill()
                break
    return records


def table(records: list[dict[str, Any]]) -> str:
    """The records for people."""
    heads = f"{'ms/step':>8} {'MFU %':>6} {'TFLOP/s':>8} {'tokens/s':>9} {'peak GiB':>9} loss"
    lines = [f"{'model':6} {'variant':20} {heads}"]
    for record in records:
        start = f"{record['model']:6} {record['variant']:20}"
        if "error" in record:
            lines.append(f"{start} {record['error'][:120]}")
            continue
        lines.append(
            f"{start} {record['ms']:8.1f} {100 * record['mfu']:6.1f} {record['tflops']:8.1f} "
            f"{record['tokens_per_s']:9.0f} {record['peak_gib']:9.1f} {record['losses'][-1]:.4f}"
        )
    return "\n".join(lines)


#: Parts of kernel names, and what they belong to; the first that matches counts.
_KERNEL_KINDS = {
    "attention": ("flash", "fmha", "sdpa", "cudnn"),
    "matrix products": ("gemm", "nvjet", "cutlass", "xmma", "cublas"),
    "AdamW": ("FusedAdam", "fused_adam", "FusedOptimizer"),
    "norms and rotary": ("rms_norm", "RMSNorm", "rope", "layer_norm", "LayerNorm"),
    "compiled": ("triton_",),
    "copies and fills": ("Memcpy", "Memset", "copy", "Fill", "CatArray"),
}


def profile(options: argparse.Namespace) -> None:
    """What the GPU does in two steps, by kernel and by kind of kernel."""
    model = MODELS[options.models[0]]
    name = (options.variants or ["default-2"])[0]
    with one_process(), stepper(model, name) as step:
        for _ in range(WARM_UP_STEPS):
            step()
        activities = [torch.profiler.ProfilerActivity.CPU]
        if torch.cuda.is_available():
            activities.append(torch.profiler.ProfilerActivity.CUDA)
        with torch.profiler.profile(activities=activities) as trace:
            seconds = sum(_timed(step) for _ in range(2))
    averages = trace.key_averages()
    by = "self_device_time_total" if torch.cuda.is_available() else "self_cpu_time_total"
    print(f"{options.models[0]} {name}: {seconds / 2 * 1e3:.1f} ms a step under the profiler")
    print(averages.table(sort_by=by, row_limit=20, max_name_column_width=70))
    _print_kinds([(one.key, one.self_device_time_total / 2e3) for one in averages if _is_kernel(one)])


def _is_kernel(average: Any) -> bool:
    return average.device_type != torch.profiler.DeviceType.CPU and average.self_device_time_total > 0


def _print_kinds(kernels: list[tuple[str, float]]) -> None:
    sums: dict[str, float] = {}
    for name, milliseconds in kernels:
        kinds = (kind for kind, parts in _KERNEL_KINDS.items() if any(part in name for part in parts))
        kind = next(kinds, "others")
        sums[kind] = sums.get(kind, 0.0) + milliseconds
    total = sum(sums.values())
    for kind, milliseconds in sorted(sums.items(), key=lambda pair: -pair[1]):
        print(f"{kind:20} {milliseconds:8.1f} ms a step {100 * milliseconds / total:5.1f} %")
    print(f"{'all kernels':20} {total:8.1f} ms a step")


def memory(options: argparse.Namespace) -> None:
    """Whether memory grows over steps of varying lengths."""
    model = MODELS[options.models[0]]
    lengths = torch.Generator().manual_seed(0)
    with one_process():
        trainer = build(model, Variant(FusedKernels.AUTO, "any", 1))
        for step in range(1, options.steps + 1):
            sizes = torch.randint(64, model.length // 2, (6,), generator=lengths).tolist()
            sft_step(trainer, examples(model, sizes))
            if step in (1, 10, 25, 50, 100, 150, options.steps):
                record = {
                    "step": step,
                    "allocated_gib": _memory("memory_allocated"),
                    "reserved_gib": _memory("memory_reserved"),
                    "peak_gib": _memory("max_memory_allocated"),
                }
                print(json.dumps({"model": options.models[0], **record}), flush=True)


def main() -> None:
    """Command line."""
    if sys.argv[1:2] == ["child"]:
        run_variants(sys.argv[2], sys.argv[3:])
        return
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.bench_trainer")
    parser.add_argument("section", choices=["speed", "profile", "memory"])
    parser.add_argument("--models", nargs="+", choices=list(MODELS), default=["0.6B", "1.7B", "4B"])
    parser.add_argument("--variants", nargs="+", choices=[*VARIANTS, HF])
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--timeout", type=float, default=240.0, help="seconds for one process")
    options = parser.parse_args()
    {"speed": speed, "profile": profile, "memory": memory}[options.section](options)


if __name__ == "__main__":
    main()
