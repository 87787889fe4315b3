"""One process of a training run: its groups, Megatron's parallel state, its device and its seeds."""

from __future__ import annotations

import gc
import os
import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
import torch.distributed as dist
from megatron.core import parallel_state
from megatron.core.tensor_parallel import model_parallel_cuda_manual_seed
from megatron.core.tensor_parallel.random import initialize_rng_tracker

from evaluation.errors import WarpsmithError
from training.settings.jobs import MegatronSettings


@contextmanager
def process_groups(settings: MegatronSettings, seed: int = 0) -> Iterator[None]:
    """Within it this process is one rank of TP x PP x DP, as torchrun's environment variables say.

    On a CPU: gloo and one thread. On a GPU: NCCL (with gloo for objects) and the GPU of the local rank.
    """
    torch.set_num_threads(1)
    cuda = torch.cuda.is_available()
    if cuda:
        if settings.tensor_model_parallel_size > 1:  # so that communication starts before what it overlaps
            os.environ.setdefault("CUDA_DEVICE_MAX_CONNECTIONS", "1")
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("cpu:gloo,cuda:nccl" if cuda else "gloo")
    try:
        _check_world(settings)
        parallel_state.initialize_model_parallel(
            settings.tensor_model_parallel_size, settings.pipeline_model_parallel_size
        )
        _seed_everything(seed)
        yield
        dist.barrier()
    finally:
        gc.unfreeze()
        parallel_state.destroy_model_parallel()
        dist.destroy_process_group()


def is_main() -> bool:
    """Whether this is the rank that prints and writes files."""
    return dist.get_rank() == 0


def spare_long_lived_objects() -> None:
    """Keep Python's garbage collector away from all that is alive now, until the groups end.

    A trainer has half a million objects that stay, and a rollout brings one for each of its tokens for a
    moment; so every few steps the collector would look through all of them and hold up every thread, for
    0.3 to 0.5 s. To be called once everything is loaded, that is after a step.
    """
    gc.collect()
    gc.freeze()


def _check_world(settings: MegatronSettings) -> None:
    ranks = settings.tensor_model_parallel_size * settings.pipeline_model_parallel_size
    if dist.get_world_size() % ranks:
        raise WarpsmithError(
            f"{dist.get_world_size()} processes cannot be divided into tensor_model_parallel_size x "
            f"pipeline_model_parallel_size = {ranks}; start a multiple of it"
        )


def _seed_everything(seed: int) -> None:
    """Seed every generator, though ours draw from streams of their own (`rollout.draw.stream_seed`)."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    if torch.cuda.is_available():
        model_parallel_cuda_manual_seed(seed)
    else:  # a tracker that tracks nothing: sequence parallelism forks it, and there is no dropout
        initialize_rng_tracker(inference_rng_tracker=True)
