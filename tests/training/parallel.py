"""The same computation at several parallel sizes, run once for all tests that compare them."""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from tests.training.parallel_worker import PLAIN, compute
from tests.training.tiny import FAMILIES, family, one_process, qwen3
from training.checkpoint.conversion import write_torch_dist
from training.launch.local import run_processes

#: (tensor parallel, pipeline parallel, data parallel)
LAYOUTS = [(1, 1, 1), (2, 1, 1), (1, 2, 1), (1, 1, 2), (2, 2, 1)]
#: The same and a mode of `parallel_worker.MODES`.
MODES = [
    (1, 1, 1, "packed"),
    (1, 1, 1, "recomputed"),
    (2, 1, 1, "sequence"),
    (2, 1, 1, "all"),
    (1, 2, 1, "packed"),
    (1, 1, 2, "packed"),
    (1, 1, 2, "distributed"),
    (2, 2, 1, "all"),
]
#: The same with adapters.
LORA = [
    (1, 1, 1, "lora"),
    (2, 1, 1, "lora"),
    (2, 1, 1, "lora-all"),
    (1, 2, 1, "lora"),
    (1, 1, 2, "lora-distributed"),
    (2, 2, 1, "lora-all"),
]


@cache
def _scratch() -> TemporaryDirectory:
    """A folder that is deleted when Python ends."""
    return TemporaryDirectory(prefix="warpsmith-test-")


@cache
def source() -> Path:
    """A torch_dist checkpoint of `qwen3()`."""
    folder = Path(_scratch().name)
    qwen3().save_pretrained(folder / "hf")
    with one_process():
        write_torch_dist(folder / "hf", folder)
    return folder


@cache
def _processes(count: int) -> Path:
    """A folder with the results of `count` processes, in every way to divide a model over them."""
    folder = source()
    wanted = [(*layout, PLAIN) for layout in LAYOUTS] + MODES + LORA
    names = [layout_name(tp, pp, mode) for tp, pp, dp, mode in wanted if tp * pp * dp == count]
    arguments = [str(folder), str(folder), *names]
    module = "tests.training.parallel_worker"
    if count == 2:
        module, arguments = "tests.training.family_worker", [str(family_checkpoints()), *arguments]
    run_processes(module, arguments, count, folder / "stderr.log")
    return folder


@cache
def family_checkpoints() -> Path:
    """A folder with every family's checkpoint: `hf` inside torch_dist, by its name."""
    folder = Path(_scratch().name) / "families"
    with one_process():
        for name in FAMILIES:
            family(name).save_pretrained(folder / name / "hf")
            write_torch_dist(folder / name / "hf", folder / name)
    return folder


def families_in_two_processes() -> Path:
    """The same folder with what two processes computed of them."""
    _processes(2)
    return family_checkpoints()


@cache
def results(tp: int, pp: int, dp: int, mode: str = PLAIN) -> dict[str, Any]:
    """What `parallel_worker.compute` gives at these sizes."""
    if (tp, pp, dp) == (1, 1, 1):
        folder = source()
        with one_process():
            return compute(folder, 1, 1, mode)
    return torch.load(_processes(tp * pp * dp) / f"{layout_name(tp, pp, mode)}.pt")


def layout_name(tp: int, pp: int, mode: str) -> str:
    return f"{tp}x{pp}-{mode}"
