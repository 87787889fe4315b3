"""Weights on their way to the engines: packed, kept, and digested as the engines do."""

import hashlib
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from transformers import Qwen3Config

from evaluation.errors import WarpsmithError
from tests.training.rollout.sglang.scripted import Scripted, serving
from tests.training.tiny import qwen3
from training.rollout.sglang.buckets import HostCopy, pack
from training.rollout.sglang.checksum import CannotTell, ExpectedDigests, require_equal
from training.rollout.sglang.client import Client
from training.rollout.sglang.digest import digest
from training.rollout.sglang.fleet import Fleet
from training.rollout.sglang.given import GivenEngine
from training.rollout.sglang.sync import Format, Leader
from training.rollout.sglang.transfer import ValueTransfer


def tensors(seed: int = 0) -> dict[str, torch.Tensor]:
    return {name: value.detach() for name, value in qwen3(seed).named_parameters()}


def sha(value: torch.Tensor) -> str:
    return digest(value, "cpu")


@pytest.mark.parametrize("bucket_bytes", [1, 10_000, 1 << 30])
def test_buckets_hold_every_tensor_once(bucket_bytes):
    buckets = list(pack(tensors().items(), torch.bfloat16, bucket_bytes))
    unpacked = [item for bucket in buckets for item in bucket.tensors()]
    assert [name for name, _ in unpacked] == list(tensors())
    for name, value in unpacked:
        assert torch.equal(value, tensors()[name].bfloat16())
    assert [bucket.is_last for bucket in buckets] == [False] * (len(buckets) - 1) + [True]
    large = max(value.numel() * 2 for value in tensors().values())
    assert all(bucket.data.numel() <= max(bucket_bytes, large) for bucket in buckets)


def test_the_copy_is_of_the_latest_weights_and_its_own():
    copy = HostCopy(keep=True)
    for version in (1, 2):
        copy.begin()
        assert copy.version is None  # half a copy is none
        buckets = list(pack(tensors(version).items(), torch.float32, 10_000))
        for bucket in buckets:
            copy.add(bucket)
            bucket.data.zero_()
        copy.end(version)
    kept = {name: value for bucket in copy.buckets() for name, value in bucket.tensors()}
    assert copy.version == 2 and kept.keys() == tensors().keys()
    assert all(torch.equal(value, kept[name]) for name, value in tensors(2).items())


def gpu_digest_by_hand(data: bytes) -> str:
    """SGLang's GPU kernel, word by word in Python's integers."""
    low = (1 << 32) - 1

    def mix(x: int) -> int:
        x ^= x >> 16
        x = x * 0x85EBCA6B & low
        x ^= x >> 13
        x = x * 0xC2B2AE35 & low
        return x ^ x >> 16

    def turn(x: int, by: int) -> int:
        return (x << by | x >> 32 - by) & low

    data += bytes(-len(data) % 4)
    words = [int.from_bytes(data[i : i + 4], "little") for i in range(0, len(data), 4)]
    seed = 0x243F6A88
    seeds = (seed, (seed * 0x9E3779B1 ^ 0xDEADBEEF) & low)
    total = 0
    for first in range(0, len(words), 8192):
        sums = [0, 0]
        for place, word in enumerate(words[first : first + 8192], first):
            places = (
                ((place * 0x27D4EB2D + seeds[0]) & low) ^ turn(place, 15),
                ((place * 0x165667B1 + seeds[1]) & low) ^ turn(place, 13),
            )
            sums = [(s + mix(word ^ p)) & low for s, p in zip(sums, places, strict=True)]
        high, rest = (mix(s ^ (len(words) * 4 & low)) for s in sums)
        total += high << 32 | rest
    x = total & ((1 << 64) - 1)
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 & ((1 << 64) - 1)
    x = (x ^ x >> 27) * 0x94D049BB133111EB & ((1 << 64) - 1)
    return f"{x ^ x >> 31:016x}"


@pytest.mark.parametrize("numel", [1, 3, 5000, 2 * 8192, 40_001])
def test_the_gpu_digest_is_the_kernels(numel):
    draw = random.Random(numel)
    data = bytes(draw.randrange(256) for _ in range(2 * numel))
    value = torch.frombuffer(bytearray(data), dtype=torch.bfloat16)
    assert digest(value, "cuda") == gpu_digest_by_hand(data)


def test_the_cpu_digest_is_sha256():
    value = torch.arange(7, dtype=torch.float32)
    assert digest(value, "cpu") == hashlib.sha256(value.numpy().tobytes()).hexdigest()[:16]


def test_digests_are_of_fused_parameters_whatever_the_order():
    expected, other = ExpectedDigests(1, 2, sha), ExpectedDigests(1, 2, sha)
    expected.add(tensors().items())
    other.add(reversed(tensors().items()))
    (digests,) = expected.by_rank()
    assert other.by_rank() == [digests]
    prefix = "model.layers.1.self_attn."
    qkv = torch.cat([tensors()[f"{prefix}{part}_proj.weight"] for part in "qkv"])
    assert digests[f"{prefix}qkv_proj.weight"] == sha(qkv)
    assert not any(part in name for name in digests for part in (".q_proj", ".v_proj", ".gate_proj"))


def test_each_gpu_of_an_engine_has_its_own_slices():
    """Four GPUs share two key-value heads, and the vocabulary of 96 is padded to 128."""
    weights, config = tensors(), Qwen3Config(**qwen3().config.to_dict())
    expected = ExpectedDigests(4, config.num_key_value_heads, sha)
    expected.add(weights.items())
    ranks = expected.by_rank()
    layer = "model.layers.0."
    q, k, v = (weights[f"{layer}self_attn.{part}_proj.weight"].view(-1, 16, 32) for part in "qkv")
    gate, up = (weights[f"{layer}mlp.{part}_proj.weight"] for part in ("gate", "up"))
    padded = torch.cat([weights["model.embed_tokens.weight"], torch.zeros(32, 32)])
    for rank, digests in enumerate(ranks):
        heads = torch.cat([q[rank : rank + 1], k[rank // 2 : rank // 2 + 1], v[rank // 2 : rank // 2 + 1]])
        assert digests[f"{layer}self_attn.qkv_proj.weight"] == sha(heads)
        rows = slice(rank * 12, rank * 12 + 12)
        assert digests[f"{layer}mlp.gate_up_proj.weight"] == sha(torch.cat([gate[rows], up[rows]]))
        assert digests[f"{layer}mlp.down_proj.weight"] == sha(
            weights[f"{layer}mlp.down_proj.weight"][:, rows]
        )
        assert digests["model.embed_tokens.weight"] == sha(padded[rank * 32 : rank * 32 + 32])
        assert digests["model.norm.weight"] == sha(weights["model.norm.weight"])


def checked(actual: object) -> None:
    """Compare with a server that gives the digests `actual` for its only GPU."""
    with serving(lambda body: []) as server:
        server.others["/weights_checker"] = actual
        require_equal(Client(server.url), [{"model.norm.weight": "aa", "lm_head.weight": "bb"}])


def ranks(**digests: str) -> dict:
    return {"success": True, "ranks": [{"parallelism_info": {"tp_rank": 0}, "checksums": digests}]}


def test_equal_digests_pass():
    checked(ranks(**{"model.norm.weight": "aa", "lm_head.weight": "bb", "cos_sin_cache": "cc"}))


@pytest.mark.parametrize(
    ("digests", "named"),
    [
        ({"model.norm.weight": "aa", "lm_head.weight": "xx"}, "lm_head.weight differ"),
        ({"model.norm.weight": "aa"}, "lm_head.weight differ"),
        (
            {"model.norm.weight": "aa", "lm_head.weight": "bb", "model.new.weight": "cc"},
            "model.new.weight differ",
        ),
    ],
)
def test_a_parameter_that_differs_is_named(digests, named):
    with pytest.raises(WarpsmithError, match=rf"are not the trainer's: {named}"):
        checked(ranks(**digests))


@pytest.mark.parametrize(
    "answer",
    [
        (400, {"success": False, "message": "no CUDA"}),
        (404, {"detail": "?"}),
        {},
        {"ranks": [{"digests": "aa"}]},
        {"ranks": "none"},
        ranks(**{"model.norm.weight": "01aa", "lm_head.weight": "01bb"}),  # another rule
    ],
)
def test_what_proves_nothing_is_told_from_wrong_weights(answer):
    with pytest.raises(CannotTell):
        checked(answer)


@contextmanager
def leading(check_interval: int | None) -> Iterator[tuple[Scripted, Callable[[int], None]]]:
    """A server, and an update of its weights to a version."""
    with serving(lambda body: []) as server:
        client = Client(server.url)
        fleet = Fleet([GivenEngine(client, patience_s=1, restore=lambda _: False)])
        leader = Leader(
            fleet,
            ValueTransfer(fleet, 1),
            Format(torch.float32, 1 << 20),
            new_digests=lambda: ExpectedDigests(1, 2, sha),
            check_interval=check_interval,
            copy=HostCopy(keep=False),
            folder=Path(),
        )

        def update(version: int) -> None:
            server.others["/model_info"] = {"weight_version": str(version)}
            leader.update(tensors().items(), version)

        yield server, update
        client.close()


def true_digests() -> dict:
    expected = ExpectedDigests(1, 2, sha)
    expected.add(tensors().items())
    return ranks(**expected.by_rank()[0])


def test_a_server_that_hashes_otherwise_costs_one_warning(capsys):
    with leading(1) as (server, update):
        server.others["/weights_checker"] = ranks(
            **dict.fromkeys(true_digests()["ranks"][0]["checksums"], "00")
        )
        for version in (1, 2, 3):
            update(version)
        assert server.paths().count("/weights_checker") == 1
    said = capsys.readouterr().out
    assert said.count("\n") == 1
    assert said.startswith("warning: checksums of http://127") and "not one of its checksums is ours" in said


@pytest.mark.parametrize(("interval", "proofs"), [(None, 1), (0, 0), (1, 4), (3, 2)])
def test_weights_are_proven_as_often_as_asked(interval, proofs, capsys):
    with leading(interval) as (server, update):
        server.others["/weights_checker"] = true_digests()
        for version in range(4):
            update(version)
        assert server.paths().count("/weights_checker") == proofs
    assert capsys.readouterr().out == ""


def test_weights_that_were_proven_once_cannot_all_be_others():
    with leading(1) as (server, update):
        server.others["/weights_checker"] = true_digests()
        update(1)
        server.others["/weights_checker"] = ranks(**{"model.norm.weight": "00"})
        with pytest.raises(WarpsmithError, match="proved its weights before and does not now"):
            update(2)
