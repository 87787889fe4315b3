"""Weights by a broadcast to another process: gloo on a CPU, NCCL between two GPUs."""

import multiprocessing as mp
from types import SimpleNamespace

import pytest
import torch

from evaluation.errors import WarpsmithError
from tests.training.rollout.sglang.broadcast_peer import serve
from tests.training.test_gpu import needs_two_gpus
from training.launch.local import _NCCL
from training.rollout.sglang.broadcast import BroadcastTransfer
from training.rollout.sglang.buckets import pack

DEVICES = ["cpu", pytest.param("cuda", marks=[pytest.mark.gpu, needs_two_gpus])]
#: Longer than NCCL takes to begin, shorter than it waits for a process that is gone.
PATIENCE_S = 60


class Engine:
    """A member of the fleet: a process that joins groups, and may be killed and started again."""

    is_ready = True

    def __init__(self, device: str) -> None:
        self._device = "cuda:1" if device == "cuda" else device
        self.restarts = 0
        self.received: list[int] = []
        self.client = self
        self._start()

    def _start(self) -> None:
        self._connection, theirs = mp.get_context("spawn").Pipe()
        self._process = mp.get_context("spawn").Process(target=serve, args=(theirs, self._device))
        self._process.start()
        theirs.close()

    def control(self, path: str, body: dict) -> None:
        self._connection.send((path, body))
        assert self._connection.poll(PATIENCE_S), f"no answer to {path}"
        is_well, answer = self._connection.recv()
        if not is_well:
            raise WarpsmithError(answer)
        if path == "/update_weights_from_distributed":
            self.received += answer

    def die(self) -> None:
        self._process.kill()
        self._process.join()
        self._connection.close()

    def start_again(self) -> None:
        self.die()
        self.restarts += 1
        self._start()


@pytest.fixture(params=DEVICES)
def device(request, monkeypatch):
    for name, value in _NCCL.items():
        monkeypatch.setenv(name, value)
    return request.param


@pytest.fixture
def engine(device):
    engine = Engine(device)
    yield engine
    engine.die()


@pytest.fixture
def transfer(single_process, engine, device, monkeypatch):
    monkeypatch.setenv("TORCHELASTIC_USE_AGENT_STORE", "True")  # as torchrun sets it
    fleet = SimpleNamespace(members=[engine], each=lambda ask: ask(engine))
    info = SimpleNamespace(device=device, tp_size=1)
    return BroadcastTransfer(fleet, info, "127.0.0.1")


def update(transfer, device: str, version: int) -> list[int]:
    """Send two tensors in two buckets; their bytes."""
    tensors = [(f"t{i}", torch.full((300,), 7.0 * version + i, device=device)) for i in range(2)]
    sent: list[int] = []
    transfer.begin(version)
    for bucket in pack(tensors, torch.bfloat16, 600):
        transfer.send(bucket)
        sent += bucket.data.tolist()
    transfer.finish()
    return sent


def test_every_update_arrives_and_both_sides_leave(transfer, engine, device):
    sent = [byte for version in (1, 2) for byte in update(transfer, device, version)]
    assert engine.received == sent
    transfer.close()
    assert update(transfer, device, 3) == engine.received[len(sent) :]  # in a new group
    transfer.close()


def test_an_engine_that_was_started_again_joins_a_new_group(transfer, engine, device):
    update(transfer, device, 1)
    engine.start_again()
    engine.received.clear()
    sent = update(transfer, device, 2)
    assert engine.received == sent
    transfer.close()
