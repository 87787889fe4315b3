"""The rollout engine against the real SGLang server, on GPUs or on a CPU, with random weights.

    python -m tests.benchmarks.bench_engine --model tiny                        # a CPU, after `make sglang`
    python -m tests.benchmarks.bench_engine --model 1.7B --server-path DIR      # one GPU, colocated
    python -m tests.benchmarks.bench_engine --model 1.7B --apart                # the engine on the next GPU
    python -m tests.benchmarks.bench_engine --model 1.7B --tp 2                 # one engine on two GPUs

The engine is opened as training opens it, by as many torchrun processes as GPUs are shared with it. Each
section (tests/benchmarks/engine_sections.py) prints its figures as they come; one that fails is shown and the
next begins. `--model tiny` is the shape of the profile `cpu` in float32, the others are Qwen3's in bfloat16.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist
from transformers import Qwen3Config, Qwen3ForCausalLM

from evaluation.errors import WarpsmithError
from evaluation.problem import Frozen
from tasks.disk.layout import Layout
from tasks.profile import load_profile
from tests.benchmarks.engine_sections import SECTIONS, Bench, Figure, Workload
from tests.benchmarks.qwen3_shapes import MODELS, hf_config
from training.launch.local import ProcessError, run_processes, run_worker
from training.model.tokenizer import train_tokenizer
from training.rollout.open import open_engine
from training.settings.architecture import Architecture, planned_architecture
from training.settings.jobs import TrainingSettings
from training.settings.rollout import Engine, RolloutSettings
from training.settings.sglang import Device, SglangSettings

_TINY = "tiny"
_GPU_SERVER = {
    "attention_backend": "triton",
    "sampling_backend": "pytorch",
    "grammar_backend": "none",
    "disable_prefill_cuda_graph": True,
    "cuda_graph_max_bs_decode": 256,
    "mem_fraction_static": 0.35,
    "max_total_tokens": 200_000,
    "context_length": 8192,
}
_CPU_SERVER = {"max_total_tokens": 40_000}
_ON_GPU = Workload(prompts=256, prompt_tokens=64, new_tokens=256)
_ON_CPU = Workload(prompts=64, prompt_tokens=32, new_tokens=64)
#: So that a section that fails on one rank does not hold the others for long.
_PATIENCE = timedelta(minutes=3)


class Options(Frozen):
    """The command line, as the launcher hands it to the processes."""

    model: str
    engines: int
    tp: int
    apart: bool
    sections: tuple[str, ...]
    workload: Workload
    server_path: tuple[str, ...]
    server_python: str | None
    folder: Path
    figures: Path | None

    @property
    def processes(self) -> int:
        """Trainer processes: one for each GPU that is shared."""
        return 1 if self.apart or not torch.cuda.is_available() else self.engines * self.tp


class Report:
    """Prints what was measured, on rank 0, and keeps it as lines of JSON."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self.failed = False
        if path is not None and dist.get_rank() == 0:
            path.write_text("")

    def add(self, section: str, figure: Figure) -> None:
        """One row of the table."""
        if dist.get_rank() == 0:
            runs = f"  ({', '.join(f'{value:.4g}' for value in figure.runs)})" if figure.runs else ""
            print(f"{section:11} {figure.what:48} {figure.value:10.4g} {figure.unit}{runs}", flush=True)
            self._keep({"section": section, **dataclasses.asdict(figure)})

    def fail(self, section: str, error: Exception) -> None:
        """The row of a section that ends early; every rank tells its own."""
        self.failed = True
        text = f"{type(error).__name__}: {error}"
        print(f"{section:11} FAILED on rank {dist.get_rank()}: {text[:600]}", flush=True)
        if dist.get_rank() == 0:
            self._keep({"section": section, "error": text})

    def _keep(self, record: dict) -> None:
        if self._path is not None:
            with self._path.open("a") as lines:
                lines.write(json.dumps(record) + "\n")


def shape_of(model: str) -> Architecture:
    """Qwen3's shape of that size; `tiny` is the model of the profile `cpu`."""
    if model != _TINY:
        return MODELS[model].architecture
    return planned_architecture(load_profile(Layout(Path(__file__).parents[2], "cpu")).model)


def write_model_folder(config: Qwen3Config, folder: Path) -> None:
    """What a server that gets its weights later reads: a config and a tokenizer."""
    config.save_pretrained(folder)
    train_tokenizer(["__global__ void add(float* a, int n) { }\n"] * 20, 400).save_pretrained(folder)


def settings_of(options: Options) -> TrainingSettings:
    """The sections of a profile that ask for this engine."""
    cuda = torch.cuda.is_available()
    return TrainingSettings(
        rollout=RolloutSettings(
            engine=Engine.SGLANG,
            max_new_tokens=options.workload.new_tokens,
            colocate=not options.apart,
            num_engines=options.engines,
            gpus_per_engine=options.tp,
            server_path=options.server_path,
            server_python=options.server_python,
        ),
        sglang=SglangSettings(
            device=Device.CUDA if cuda else Device.CPU, **(_GPU_SERVER if cuda else _CPU_SERVER)
        ),
    )


@contextlib.contextmanager
def _process_group() -> Iterator[dist.ProcessGroup]:
    """This process among the ranks, and a group for waiting that leaves the GPUs alone."""
    torch.set_num_threads(1)
    if torch.cuda.is_available():
        torch.cuda.set_device(dist.get_node_local_rank())
    dist.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo", timeout=_PATIENCE)
    try:
        yield dist.new_group(backend="gloo", timeout=3 * _PATIENCE)
    finally:
        dist.destroy_process_group()


def worker(options: Options) -> None:
    """One rank: opens the engine and goes through the sections."""
    with _process_group() as group:
        report = Report(options.figures)
        shape, hf_dir = shape_of(options.model), options.folder / "model"
        config = hf_config(shape)
        if dist.get_rank() == 0:
            write_model_folder(config, hf_dir)
        torch.manual_seed(1)
        with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
            model = Qwen3ForCausalLM(config).to(getattr(torch, shape.dtype)).eval()
        dist.barrier(group=group)
        start = time.perf_counter()
        with open_engine(settings_of(options), hf_dir, load_weights=False, log_dir=options.folder) as engine:
            report.add("start", Figure("open_engine", time.perf_counter() - start, "s"))
            bench = Bench(engine, model, options.workload, group)
            bench.update(prove=True)
            for name in options.sections:
                _run_section(name, bench, report)
        if report.failed:
            raise WarpsmithError("a section failed; the server's log is in " + str(options.folder))


def _run_section(name: str, bench: Bench, report: Report) -> None:
    try:
        for figure in SECTIONS[name](bench):
            report.add(name, figure)
    except Exception as error:  # the next section may work
        report.fail(name, error)
    dist.barrier(group=bench.group)


def parse(arguments: list[str]) -> Options:
    """The command line."""
    default = _ON_GPU if torch.cuda.is_available() else _ON_CPU
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.bench_engine")
    parser.add_argument(
        "--model", choices=[_TINY, *(name for name in MODELS if name != _TINY)], default=_TINY
    )
    parser.add_argument("--engines", type=int, default=1, help="servers")
    parser.add_argument("--tp", type=int, default=1, help="GPUs that share the model in each of them")
    parser.add_argument("--apart", action="store_true", help="servers on the GPUs after the trainer's")
    parser.add_argument("--sections", nargs="+", choices=list(SECTIONS), default=list(SECTIONS))
    parser.add_argument("--pairs", type=int, default=default.pairs, help="batches of each side")
    parser.add_argument("--prompts", type=int, default=default.prompts, help="prompts in a batch")
    parser.add_argument("--new-tokens", type=int, default=default.new_tokens)
    parser.add_argument("--server-path", nargs="+", default=[], help="folders that have SGLang")
    parser.add_argument("--server-python", help="interpreter that has SGLang")
    parser.add_argument("--folder", type=Path, help="for the model and the logs")
    parser.add_argument("--json", type=Path, help="file for the figures, one line of JSON each")
    options = parser.parse_args(arguments)
    workload = dataclasses.replace(
        default, prompts=options.prompts, new_tokens=options.new_tokens, pairs=options.pairs
    )
    return Options(
        model=options.model,
        engines=options.engines,
        tp=options.tp,
        apart=options.apart,
        sections=options.sections,
        workload=workload,
        server_path=options.server_path,
        server_python=options.server_python,
        folder=options.folder or Path(tempfile.mkdtemp(prefix="bench-engine-")),
        figures=options.json and options.json.absolute(),
    )


def main() -> None:
    """Start the processes, or be one of them."""
    if sys.argv[1:2] == ["worker"]:
        options = Options.model_validate_json(Path(sys.argv[2]).read_text())
        run_worker(lambda: worker(options))
        return
    options = parse(sys.argv[1:])
    options.folder.mkdir(parents=True, exist_ok=True)
    job = options.folder / "job.json"
    job.write_text(options.model_dump_json())
    module, log = "tests.benchmarks.bench_engine", options.folder / "stderr.log"
    try:
        run_processes(module, ["worker", str(job)], options.processes, log)
    except (WarpsmithError, ProcessError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
