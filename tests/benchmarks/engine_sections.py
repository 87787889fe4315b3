"""What `tests.benchmarks.bench_engine` measures of an open engine: one function per section.

A section is a generator of figures, and the work either of all ranks or of the leading one alone.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import random
import signal
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import torch
import torch.distributed as dist
from transformers import PreTrainedModel

from evaluation.errors import WarpsmithError
from training.rollout.engine import Completion, FinishReason, RolloutEngine, Sampling
from training.rollout.sglang.buckets import Bucket

_REPEATS = 5
_COMPARED = 16  # completions whose log-probabilities transformers computes again
_FLIPPED_BYTE = 100


@dataclasses.dataclass(frozen=True)
class Workload:
    """The batch that both sides generate."""

    prompts: int
    prompt_tokens: int
    new_tokens: int
    pairs: int = 4
    """Batches of each side, after one to warm up."""


@dataclasses.dataclass(frozen=True)
class Figure:
    """One row of the table."""

    what: str
    value: float
    unit: str
    runs: tuple[float, ...] = ()
    """The single measurements, where `value` sums them up."""


def median(what: str, runs: list[float], unit: str) -> Figure:
    """The median of several measurements."""
    return Figure(what, statistics.median(runs), unit, tuple(runs))


class Bench:
    """The engine, the trainer's model and the batch."""

    def __init__(
        self, engine: RolloutEngine, model: PreTrainedModel, workload: Workload, group: dist.ProcessGroup
    ) -> None:
        self.engine: Any = engine  # its private parts are reached for
        self.model, self.workload, self.group = model, workload, group
        self.leads = dist.get_rank() == 0
        self.version = 0
        draw = random.Random(0)
        self.prompts = [
            [draw.randrange(3, 400) for _ in range(workload.prompt_tokens)] for _ in range(workload.prompts)
        ]
        self.http = httpx.Client(timeout=600, trust_env=False)

    @property
    def members(self) -> tuple[Any, ...]:
        """The servers; the leading rank only."""
        return tuple(self.engine._fleet.members)

    def update(self, *, prove: bool) -> float:
        """Send the model's weights under a new version; seconds. Collective."""
        self.version += 1
        if self.leads:
            self.engine._weights._check_interval = int(prove)
        self.wait()
        start = time.perf_counter()
        tensors = ((name, value.detach()) for name, value in self.model.named_parameters())
        self.engine.update_weights(tensors, self.version)
        synchronize()
        return time.perf_counter() - start

    def generate(self, count: int | None = None, new_tokens: int | None = None) -> list[Completion]:
        """Our engine's answers to the first `count` prompts; all of them by default."""
        prompts = self.prompts[:count]
        limit = new_tokens or self.workload.new_tokens
        sampling = [Sampling(max_new_tokens=limit, seed=number) for number in range(len(prompts))]
        return list(self.engine.generate(prompts, sampling))

    def generate_raw(self) -> list[bytes]:
        """The same batch without our engine: one request per server, the answers unread."""
        urls = [member.client.url for member in self.members]
        with ThreadPoolExecutor(len(urls)) as pool:
            shares = [self.prompts[number :: len(urls)] for number in range(len(urls))]
            return list(pool.map(self._post, urls, shares))

    def wait(self) -> None:
        """Until all ranks are here and their GPUs have nothing left to do."""
        synchronize()
        dist.barrier(group=self.group)

    def _post(self, url: str, prompts: list[list[int]]) -> bytes:
        parameters = {"max_new_tokens": self.workload.new_tokens, "temperature": 1.0, "ignore_eos": True}
        body = {"input_ids": prompts, "sampling_params": parameters, "return_logprob": True}
        return self.http.post(f"{url}/generate", json=body).raise_for_status().content


def synchronize() -> None:
    """Wait for the GPU, if there is one."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def throughput(bench: Bench) -> Iterator[Figure]:
    """Tokens a second through our engine and without it, batches in turn, on the same prompts."""
    if not bench.leads:
        return
    tokens = len(bench.prompts) * bench.workload.new_tokens  # nothing stops before the limit
    _require_tokens(tokens, bench.generate_raw(), bench.generate())
    raw, ours = [], []
    for _ in range(bench.workload.pairs):
        raw.append(_cost(bench.generate_raw))
        ours.append(_cost(bench.generate))
    for what, costs in (("one raw request per server", raw), ("our engine", ours)):
        rates = tuple(tokens / seconds for seconds, _ in costs)
        yield Figure(what, statistics.harmonic_mean(rates), "tokens/s", rates)
    totals = [sum(seconds for seconds, _ in costs) for costs in (raw, ours)]
    yield Figure("ours / raw, of the totals", 100 * totals[0] / totals[1], "%")
    own = [cpu - without for (_, cpu), (_, without) in zip(ours, raw, strict=True)]
    yield median("our engine's own CPU time in a batch", own, "s")


def _require_tokens(tokens: int, answers: list[bytes], completions: list[Completion]) -> None:
    """Both sides generate as many tokens as they are taken for."""
    parsed = [one for answer in answers for one in json.loads(answer)]
    raw = sum(one["meta_info"]["completion_tokens"] for one in parsed)
    ours = sum(len(completion.token_ids) for completion in completions)
    if raw != tokens or ours != tokens:
        raise AssertionError(f"{tokens} tokens were asked for; raw wrote {raw}, ours {ours}")


def _cost(call: Callable[[], object]) -> tuple[float, float]:
    """Seconds of wall time, and of this process's CPU time."""
    cpu, start = time.process_time(), time.perf_counter()
    call()
    return time.perf_counter() - start, time.process_time() - cpu


def updates(bench: Bench) -> Iterator[Figure]:
    """New weights while the servers are idle."""
    yield median("without proof", [bench.update(prove=False) for _ in range(_REPEATS)], "s")
    yield median("with proof", [bench.update(prove=True) for _ in range(_REPEATS)], "s")


def handover(bench: Bench) -> Iterator[Figure]:
    """From "optimizer done" to the first new token; where memory is shared, after it was released."""
    release, resume, total, freed = [], [], [], []
    for _ in range(_REPEATS):
        bench.wait()
        before = _free_gib()
        release.append(_cost(bench.engine.release)[0])
        bench.wait()
        freed.append(_free_gib() - before)
        start = time.perf_counter()
        resume.append(_cost(bench.engine.resume)[0])
        bench.update(prove=False)
        if bench.leads:
            bench.generate(count=1, new_tokens=1)
        total.append(time.perf_counter() - start)
    if freed[0] > 0:
        yield median("release", release, "s")
        yield median("memory released on this GPU", freed, "GiB")
        yield median("resume", resume, "s")
    yield median("resume, update without proof, first token", total, "s")


def _free_gib() -> float:
    return torch.cuda.mem_get_info()[0] / 2**30 if torch.cuda.is_available() else 0.0


@torch.no_grad()
def logprobs(bench: Bench) -> Iterator[Figure]:
    """The engine's log-probabilities against those of transformers."""
    if not bench.leads:
        return
    completions = bench.generate(count=_COMPARED)
    differences = []
    for prompt, completion in zip(bench.prompts, completions, strict=False):
        ids = torch.tensor([[*prompt, *completion.token_ids]], device=bench.model.device)
        logits = bench.model(ids).logits[0, len(prompt) - 1 : -1].float()
        expected = logits.log_softmax(-1).gather(-1, ids[0, len(prompt) :, None]).squeeze(-1)
        differences.append((expected.cpu() - torch.tensor(completion.logprobs)).abs())
    difference = torch.cat(differences)
    yield Figure("|delta logprob| to transformers, mean", difference.mean().item(), "")
    yield Figure("|delta logprob| to transformers, largest", difference.max().item(), "")


def abort(bench: Bench) -> Iterator[Figure]:
    """Ending a batch half-way."""
    if not bench.leads:
        return
    with _half_way(bench) as completions:
        seconds, _ = _cost(bench.engine.abort)
    yield Figure("abort", seconds, "s")
    aborted = sum(one.finish_reason is FinishReason.ABORT for one in completions)
    yield Figure(f"responses cut, of {len(completions)}", aborted, "")
    yield Figure("tokens kept", sum(len(one.token_ids) for one in completions), "")


def proof(bench: Bench) -> Iterator[Figure]:
    """One wrong byte in one bucket is found, and right weights are accepted again."""
    start, found = time.perf_counter(), not bench.leads
    with _flipped_byte(bench):
        try:
            bench.update(prove=True)
        except WarpsmithError as error:
            found = "are not the trainer's" in str(error)
    seconds = time.perf_counter() - start
    again = bench.update(prove=True)
    if not found:
        raise AssertionError("the engines held a wrong byte, and the proof did not say so")
    yield Figure("until one flipped byte was found", seconds, "s")
    yield Figure("the next update, with proof", again, "s")


@contextlib.contextmanager
def _flipped_byte(bench: Bench) -> Iterator[None]:
    """Within it the leading rank sends one byte of every bucket wrong; the trainer's own stays right."""
    if not bench.leads:
        yield
        return
    transfer = bench.engine._weights._transfer
    send = transfer.send

    def corrupting(bucket: Bucket) -> None:
        bucket.data[_FLIPPED_BYTE] ^= 1
        send(bucket)
        bucket.data[_FLIPPED_BYTE] ^= 1

    transfer.send = corrupting
    try:
        yield
    finally:
        transfer.send = send


def killed(bench: Bench) -> Iterator[Figure]:
    """SIGKILL to a server in the middle of a batch: it comes back, and every response arrives whole."""
    if not bench.leads:
        return
    with _half_way(bench) as completions:
        os.killpg(bench.members[0].pid, signal.SIGKILL)
        start = time.perf_counter()
    yield Figure("from SIGKILL to the last response", time.perf_counter() - start, "s")
    whole = sum(len(one.token_ids) == bench.workload.new_tokens for one in completions)
    versions = {one.weight_version for one in completions}
    if whole < len(bench.prompts) or versions != {bench.version}:
        raise AssertionError(f"{whole} of {len(bench.prompts)} whole, weights of versions {versions}")
    yield Figure(f"whole responses, of {len(bench.prompts)}", whole, "")


def restored(bench: Bench) -> Iterator[Figure]:
    """An update of the server that was started again."""
    yield Figure("the next update, with proof", bench.update(prove=True), "s")


@contextlib.contextmanager
def _half_way(bench: Bench) -> Iterator[list[Completion]]:
    """Half-way through a batch; its completions are in the list afterwards."""
    typical, _ = _cost(bench.generate)
    completions: list[Completion] = []
    thread = threading.Thread(target=lambda: completions.extend(bench.generate()))
    thread.start()
    time.sleep(typical / 2)
    try:
        yield completions
    finally:
        thread.join()


SECTIONS = {
    "throughput": throughput,
    "updates": updates,
    "handover": handover,
    "logprobs": logprobs,
    "abort": abort,
    "proof": proof,
    "killed": killed,
    "restored": restored,
}
