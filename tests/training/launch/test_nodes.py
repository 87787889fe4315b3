"""Several nodes: the same command on each trains as one node does, and they end together."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from evaluation.errors import WarpsmithError
from tests.training.night import metrics
from tests.training.nodes import command, finish, inputs, losses, node_flags, start
from training.command import main
from training.launch.address import own_address
from training.launch.local import REQUEUE
from training.launch.nodes import Node

TP2 = ["--tensor-model-parallel-size", "2"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return inputs(tmp_path_factory.mktemp("night"))


def on_one(kind: str, folder: Path, out: Path, processes: int, flags: list[str]) -> Path:
    ((status, said),) = finish(
        [start(command(kind, folder, out, ["--nproc-per-node", str(processes), *flags]))]
    )
    assert status == 0, said
    return out


def on_two(kind: str, folder: Path, out: Path, processes: int, flags: list[str]) -> Path:
    each = ["--nproc-per-node", str(processes), *flags]
    ended = finish([start(command(kind, folder, out, [*each, *place])) for place in node_flags(2)])
    assert [status for status, _ in ended] == [0, 0], ended
    return out


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "processes", "flags"), [("sft", 2, TP2), ("grpo", 1, [])])
def test_two_nodes_train_as_one_does(folder, tmp_path, kind, processes, flags):
    """TP 2 x DP 2, and DP 2 with the local engine on each."""
    one = on_one(kind, folder, tmp_path / "one", 2 * processes, flags)
    two = on_two(kind, folder, tmp_path / "two", processes, flags)
    assert losses(two) == pytest.approx(losses(one), abs=1e-5) and len(losses(two)) > 2
    assert metrics(two)[-1].keys() == metrics(one)[-1].keys()
    assert (two / "stderr.log").exists() and (two / "stderr.node-1.log").exists()


@pytest.mark.slow
def test_a_node_that_is_killed_ends_the_others_and_the_run_goes_on(folder, tmp_path):
    """Its processes end with it; what the first says names no other cause. A signal stops both nodes."""
    out, many = tmp_path / "out", ["--sft-steps", "100000"]
    nodes = [start(command("sft", folder, out, [*many, *place])) for place in node_flags(2)]
    while not (out / "checkpoints" / "step_000004").exists():
        time.sleep(0.1)
        assert nodes[0].poll() is None
    nodes[1].kill()
    (status, said), _ = finish(nodes)
    assert status == 1 and "ended without a word" in said
    before = len(losses(out))
    nodes = [start(command("sft", folder, out, [*many, *place])) for place in node_flags(2)]
    while len(losses(out)) <= before + 10:
        time.sleep(0.1)
        assert nodes[0].poll() is None
    nodes[1].send_signal(signal.SIGTERM)
    ended = finish(nodes)
    assert [status for status, _ in ended] == [REQUEUE, REQUEUE] and "was asked to stop" in ended[0][1]
    steps = [row["step"] for row in metrics(out)]
    assert steps == list(range(1, len(steps) + 1))


@pytest.mark.slow
def test_nodes_with_different_settings_are_told_so(folder, tmp_path):
    places = node_flags(2)
    flags = [["--sft-lr", "1e-3"], ["--sft-lr", "2e-3"]]
    nodes = [
        start(command("sft", folder, tmp_path / "out", [*flag, *place]))
        for flag, place in zip(flags, places, strict=True)
    ]
    for status, said in finish(nodes):
        assert status == 2 and "process 1 was started with other settings than process 0" in said


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--nnodes", "2"], "--nnodes 2 needs --master-addr"),
        (["--nnodes", "2", "--master-addr", "a", "--node-rank", "2"], "--node-rank 2 is none of 2 nodes"),
    ],
)
def test_a_place_that_cannot_be_is_named(flags, sentence, capsys):
    inputs = ["--rows", "rows", "--checkpoint", "checkpoint", "--out-dir", "out"]
    assert main(["sft", *inputs, *flags]) == 2
    assert sentence in capsys.readouterr().err


def test_every_node_has_files_of_its_own():
    names = [Node(count=2, number=number).own(Path("out/stderr.log")).name for number in (0, 1)]
    assert names == ["stderr.log", "stderr.node-1.log"]


def test_an_address_is_that_of_the_named_interface(monkeypatch):
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "lo")
    assert own_address("192.0.2.7") == "127.0.0.1"
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "nosuch0")
    with pytest.raises(WarpsmithError, match=r"GLOO_SOCKET_IFNAME names nosuch0, which has no .* has .*lo"):
        own_address("127.0.0.1")
    assert os.environ["GLOO_SOCKET_IFNAME"] == "nosuch0"
