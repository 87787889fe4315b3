"""Lets Megatron-core 0.16 run on a machine without CUDA; does nothing where there is a GPU.

Megatron's model, pipeline schedules, data-parallel wrapper, optimizers and checkpoints are device
independent but for literals: they ask `torch.cuda.current_device()`, call `torch.cuda.synchronize()`
and write `device="cuda"` or `.cuda()`. Inside `cpu_compat()` those mean the CPU, and the random state of
the GPU, which recomputation saves and restores, is empty. Nothing else of Megatron is replaced, with one
exception that is about speed: `save_in_process`.
"""

from __future__ import annotations

import contextlib
import queue
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import torch
from megatron.core.tensor_parallel import random
from torch.overrides import TorchFunctionMode


def _without_cuda(device: Any) -> Any:
    """The CPU in place of any way to write a CUDA device; anything else unchanged."""
    if isinstance(device, str) and device.startswith("cuda"):
        return "cpu"
    if isinstance(device, torch.device) and device.type == "cuda":
        return torch.device("cpu")
    return device


class _CudaMeansCpu(TorchFunctionMode):
    """Rewrites the CUDA literals in calls of torch functions, and the type names read back from tensors."""

    def __torch_function__(
        self, func: Callable, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        if "device" in kwargs:
            kwargs["device"] = _without_cuda(kwargs["device"])
        if func is torch.Tensor.cuda:
            return args[0]
        if func is torch.Tensor.to:
            args = tuple(_without_cuda(argument) for argument in args)
        if func is torch.Tensor.type and len(args) == 1 and not kwargs:
            # clip_grads asserts that gradients are "torch.cuda.FloatTensor"
            return func(*args).replace("torch.", "torch.cuda.", 1)
        return func(*args, **kwargs)


@contextlib.contextmanager
def cpu_compat() -> Iterator[None]:
    """Within it Megatron's CUDA literals mean the CPU; a no-op where CUDA exists. May be nested."""
    if torch.cuda.is_available():
        yield
        return
    with contextlib.ExitStack() as stack:
        cpu = torch.device("cpu")
        stack.enter_context(mock.patch.object(torch.cuda, "current_device", lambda: cpu))
        stack.enter_context(mock.patch.object(torch.cuda, "synchronize", lambda *_, **__: None))
        stack.enter_context(mock.patch.object(random, "_get_cuda_rng_state", lambda *_, **__: torch.empty(0)))
        stack.enter_context(mock.patch.object(random, "_set_cuda_rng_state", lambda *_, **__: None))
        stack.enter_context(_CudaMeansCpu())
        yield


@contextlib.contextmanager
def save_in_process() -> Iterator[None]:
    """Within it a synchronous `dist_checkpointing.save` returns its results through a plain queue.

    Megatron otherwise starts a `multiprocessing.Manager` with the spawn method, which imports the
    main module again: seconds per run, a hang where that module has no `__main__` guard, and a
    process that is left over when this one is killed.
    """
    from megatron.core.dist_checkpointing.strategies import filesystem_async

    with mock.patch.object(filesystem_async, "_results_queue", queue.Queue()):
        yield
