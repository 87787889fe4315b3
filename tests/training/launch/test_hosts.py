"""Two hosts that reach each other at addresses of their own alone train as one does."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from tests.training.hosts import ADDRESSES, hosts, missing
from tests.training.nodes import command, finish, inputs, losses, node_flags, start

WHY_NOT = missing()
pytestmark = [pytest.mark.slow, pytest.mark.skipif(WHY_NOT is not None, reason=WHY_NOT or "")]
SGLANG = [
    *("--rollout-engine", "sglang", "--sglang-device", "cpu", "--rollout-num-engines", "2"),
    *("--sglang-max-total-tokens", "4000", "--rollout-weight-check-interval", "1"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return inputs(tmp_path_factory.mktemp("night"))


def train(folder: Path, out: Path, flags: list[str]) -> list[float]:
    """The losses of GRPO on both hosts."""
    with hosts() as prefixes:
        nodes = [
            start(command("grpo", folder, out, [*flags, *place]), prefix)
            for prefix, place in zip(prefixes, node_flags(2, ADDRESSES[0]), strict=True)
        ]
        ended = finish(nodes)
    assert [status for status, _ in ended] == [0, 0], ended
    return losses(out)


def test_two_hosts_train_as_one_does(folder, tmp_path):
    """TP 2 x DP 2 with the local engine."""
    flags = ["--tensor-model-parallel-size", "2"]
    one = start(command("grpo", folder, tmp_path / "one", [*flags, "--nproc-per-node", "4"]))
    ((status, said),) = finish([one])
    assert status == 0, said
    two = train(folder, tmp_path / "two", [*flags, "--nproc-per-node", "2"])
    assert two == pytest.approx(losses(tmp_path / "one"), abs=1e-5) and len(two) == 3


@pytest.mark.sglang
@pytest.mark.skipif(importlib.util.find_spec("sglang") is None, reason="needs the SGLang server: make sglang")
def test_a_server_on_each_host_gets_the_weights(folder, tmp_path):
    """The checksums of both are compared with the trainer's at every update."""
    out = tmp_path / "out"
    assert len(train(folder, out, SGLANG)) == 3
    for number, address in enumerate(ADDRESSES):
        assert f"{address}" in (out / "engine" / f"sglang-{number}.log").read_text(errors="replace")
