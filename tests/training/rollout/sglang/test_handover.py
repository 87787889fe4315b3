"""Memory changes hands in order: over two ranks, with servers that are slow and a rank that is late."""

from __future__ import annotations

import time
from contextlib import contextmanager
from multiprocessing import get_context

import torch.distributed as dist

from training.rollout.sglang.engine import SglangEngine

LATE = 0.5


class SlowFleet:
    """Stands for servers: it says when they were asked, and takes its time to free memory."""

    def __init__(self, tell):
        self._tell = tell
        self.restarts = 0
        self.client = self

    @contextmanager
    def paused(self):
        yield

    def each(self, act):
        act(self)
        return [self]

    def control(self, path):
        if path == "/release_memory_occupation":
            time.sleep(LATE)
        self._tell(path)
        return {}


def hand_over(rank, folder, times):
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)

    def tell(what):
        times.put((what, time.monotonic()))

    engine = SglangEngine(
        None,
        fleet=SlowFleet(tell) if rank == 0 else None,
        limits=None,
        seeded=True,
        releases_memory=True,
        close=lambda: None,
    )
    if rank == 0:
        engine.lend()  # to those who judge; they are done
        tell("rank 0 judges")
    engine.release()
    tell(f"rank {rank} trains")
    if rank == 1:
        time.sleep(LATE)
    tell(f"rank {rank} has trained")
    engine.resume()
    dist.destroy_process_group()


def test_servers_free_memory_before_ranks_train_and_take_it_back_after_all_have(tmp_path):
    context = get_context("spawn")
    times = context.Queue()
    ranks = [context.Process(target=hand_over, args=(rank, tmp_path, times)) for rank in range(2)]
    for process in ranks:
        process.start()
    at = dict(times.get(timeout=120) for _ in range(7))
    assert times.empty()  # asked once
    for process in ranks:
        process.join()
    assert at["/release_memory_occupation"] < at["rank 0 judges"]
    assert at["/release_memory_occupation"] < min(at["rank 0 trains"], at["rank 1 trains"])
    assert at["/resume_memory_occupation"] > max(at["rank 0 has trained"], at["rank 1 has trained"])
