"""The same computation at several parallel sizes, run once for all tests that compare them."""

from contextlib import ExitStack
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from tests.training.parallel_worker import compute
from tests.training.tiny import one_process, qwen3
from training.architecture import read_architecture
from training.config import MegatronSettings
from training.conversion import open_hf_weights
from training.launch import run_processes
from training.model import build_model
from training.torch_dist import save_model
from training.weights import load_hf_weights

#: (tensor parallel, pipeline parallel, data parallel)
LAYOUTS = [(1, 1, 1), (2, 1, 1), (1, 2, 1), (1, 1, 2)]


@cache
def _scratch() -> TemporaryDirectory:
    """A folder that is deleted when Python ends."""
    return TemporaryDirectory(prefix="warpsmith-test-")


@cache
def _source() -> Path:
    """A torch_dist checkpoint of `qwen3()`."""
    folder = Path(_scratch().name)
    qwen3().save_pretrained(folder / "hf")
    architecture = read_architecture(folder / "hf")
    with one_process(), ExitStack() as files:
        model = build_model(architecture, MegatronSettings(nproc_per_node=1), torch.float32)
        load_hf_weights(model, architecture, open_hf_weights(folder / "hf", architecture, files))
        save_model(model, folder)
    return folder


@cache
def _two_processes() -> Path:
    """A folder with the results of two processes, in every way to divide a model over them."""
    folder = _source()
    arguments = [str(folder), str(folder), "2x1", "1x2", "1x1"]
    run_processes("tests.training.parallel_worker", arguments, 2, folder / "stderr.log")
    return folder


@cache
def results(tp: int, pp: int, dp: int) -> dict[str, Any]:
    """What `parallel_worker.compute` gives at these sizes."""
    if (tp, pp, dp) == (1, 1, 1):
        source = _source()
        with one_process():
            return compute(source, 1, 1)
    return torch.load(_two_processes() / f"{tp}x{pp}.pt")
