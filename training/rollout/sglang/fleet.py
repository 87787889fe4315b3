"""Several SGLang engines as one: work goes to the least loaded, and what one loses another does again.

A batch is split into one share per engine, because a server is fastest with one large request. When an
engine is lost its share is sent again, to whichever engine is free; when we interrupt requests ourselves
(to change the weights) they go on where they were, under the new weights.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import Protocol, TypeAlias, TypeVar

from evaluation.errors import WarpsmithError
from training.rollout.engine import Completion, FinishReason
from training.rollout.sglang.client import Client, ServerLost
from training.rollout.sglang.protocol import Request, sampling_params

#: How often one share is sent before the run gives up on it; restarts of servers have a limit of their own.
_ATTEMPTS = 8
_FIRST_DELAY_S = 0.5
_LONGEST_DELAY_S = 30.0
_DRAIN_POLL_S = 0.05
_ROUTED_AT_ONCE = 64

Value = TypeVar("Value")
_Numbered: TypeAlias = tuple[int, Request]
"""A request and its number in the call of `generate`."""


class Member(Protocol):
    """One engine of a fleet."""

    @property
    def client(self) -> Client:
        """Speaks to its server."""
        ...

    @property
    def is_ready(self) -> bool:
        """Whether it can be used now."""
        ...

    @property
    def restarts(self) -> int:
        """How often its server was replaced by a fresh one."""
        ...

    def wait_ready(self) -> None:
        """Return when it can be used; WarpsmithError if it never will."""
        ...

    def report_lost(self) -> None:
        """Hear that it gave no usable answer."""
        ...


class Fleet:
    """All engines of a run. Thread-safe."""

    def __init__(self, members: Sequence[Member], router: Client | None = None) -> None:
        """`router`, if there is one, gets the /generate calls; every other call goes to each engine."""
        self.members = tuple(members)
        self._router = router
        self._changed = threading.Condition()
        self._load = [0] * len(self.members)  # requests that each engine has
        self._given = [0] * len(self.members)  # requests that each engine ever got, to take turns
        self._aborts = 0  # how often we were asked to abort
        self._under_way: Counter[int] = Counter()  # calls to servers, by the aborts before they began
        self._held = False  # nothing is sent while the engines are paused

    def generate(self, requests: Sequence[Request]) -> list[Completion]:
        """Complete all requests.

        Raises:
            WarpsmithError: an engine refuses a request, or all are lost for good.
        """
        aborts = self._aborts
        shares = _split(list(enumerate(requests)), len(self.members))
        if len(shares) <= 1:
            parts = [self._complete(share, aborts) for share in shares]
        else:
            with ThreadPoolExecutor(len(shares), thread_name_prefix="sglang-share") as pool:
                parts = list(pool.map(lambda share: self._complete(share, aborts), shares))
        done = {index: completion for part in parts for index, completion in part}
        return [done[index] for index in range(len(requests))]

    def abort(self) -> None:
        """End the calls of `generate` that run now; their completions keep the tokens so far."""
        with self._changed:
            self._aborts = now = self._aborts + 1
            self._changed.notify_all()
        self._interrupt(lambda: any(aborts < now for aborts in self._under_way))

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Within it no engine generates; requests that were interrupted go on afterwards."""
        with self._changed:
            self._held = True
        try:
            self._interrupt(lambda: bool(self._under_way))
            self.each(lambda member: member.client.control("/pause_generation", {"mode": "abort"}))
            yield
            self.each(lambda member: member.client.control("/continue_generation"))
        finally:
            with self._changed:
                self._held = False
                self._changed.notify_all()

    def each(self, call: Callable[[Member], Value]) -> dict[Member, Value]:
        """The answers of all engines that are ready, called at once; those that are lost are left out.

        Raises:
            WarpsmithError: an engine refuses.
        """

        def attempt(member: Member) -> Value | ServerLost:
            try:
                return call(member)
            except ServerLost as error:
                member.report_lost()
                return error

        ready = [member for member in self.members if member.is_ready]
        with ThreadPoolExecutor(max(1, len(ready)), thread_name_prefix="sglang-control") as pool:
            answers = zip(ready, pool.map(attempt, ready), strict=True)
            return {member: answer for member, answer in answers if not isinstance(answer, ServerLost)}

    def _complete(self, share: Sequence[_Numbered], aborts: int) -> list[tuple[int, Completion]]:
        """All completions of a share, however often it takes."""
        done: list[tuple[int, Completion]] = []
        left, lost = list(share), 0
        while left:
            number = self._choose(len(left), aborts)
            if number is None:  # aborted before it was sent
                return done + [(index, _unsent(request)) for index, request in left]
            try:
                completions = self._send(number, [request for _, request in left], aborts)
            except ServerLost as error:
                lost += 1
                if lost >= _ATTEMPTS:
                    raise WarpsmithError(f"SGLang gave no usable answer {lost} times: {error}") from None
                self.members[number].report_lost()
                time.sleep(min(_FIRST_DELAY_S * 2 ** (lost - 1), _LONGEST_DELAY_S))
            else:
                left, finished = self._sort_out(left, completions, aborts)
                done += finished
        return done

    def _send(self, number: int, requests: Sequence[Request], aborts: int) -> list[Completion]:
        """What engine `number` makes of the requests that `_choose` gave it."""
        try:
            if self._router is not None:
                return _through(self._router, requests)
            return self.members[number].client.generate(requests)
        finally:
            with self._changed:
                self._load[number] -= len(requests)
                self._under_way[aborts] -= 1
                self._under_way += Counter()  # drops what is at zero
                self._changed.notify_all()

    def _sort_out(
        self, share: Sequence[_Numbered], completions: Sequence[Completion], aborts: int
    ) -> tuple[list[_Numbered], list[tuple[int, Completion]]]:
        """Requests that go on, and final completions: an aborted one is final if we were asked to abort."""
        asked = self._aborts != aborts
        going: list[_Numbered] = []
        final: list[tuple[int, Completion]] = []
        for (index, request), completion in zip(share, completions, strict=True):
            if completion.finish_reason is FinishReason.ABORT and not asked:
                going.append((index, request.after(completion)))
            else:
                final.append((index, completion))
        return going, final

    def _choose(self, count: int, aborts: int) -> int | None:
        """The ready engine with least to do, which gets `count` requests; None if aborted meanwhile."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: not self._held or self._aborts != aborts)
                if self._aborts != aborts:
                    return None
                ready = [number for number, member in enumerate(self.members) if member.is_ready]
                if ready:
                    chosen = min(ready, key=lambda number: (self._load[number], self._given[number]))
                    self._load[chosen] += count
                    self._given[chosen] += count
                    self._under_way[aborts] += 1
                    return chosen
            self._wait_for_one()

    def _wait_for_one(self) -> None:
        """Wait for an engine that is being started again; WarpsmithError if none comes back."""
        errors = []
        for member in self.members:
            try:
                return member.wait_ready()
            except WarpsmithError as error:
                errors.append(error)
        raise errors[0]

    def _interrupt(self, is_busy: Callable[[], bool]) -> None:
        """Make the servers end what they generate, until the calls that were sent have returned.

        A server knows only of requests that have arrived, so it is told again and again.
        """
        timeout = 0.0
        while not self._is_free(is_busy, timeout):
            self.each(lambda member: member.client.control("/abort_request", {"rid": "", "abort_all": True}))
            timeout = _DRAIN_POLL_S

    def _is_free(self, is_busy: Callable[[], bool], timeout: float) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: not is_busy(), timeout=timeout)


def _through(router: Client, requests: Sequence[Request]) -> list[Completion]:
    """The completions by way of the router, which takes no batch of requests with different parameters."""
    groups: dict[str, list[int]] = {}
    for number, request in enumerate(requests):
        groups.setdefault(str(sampling_params(request)), []).append(number)
    completions: dict[int, Completion] = {}
    with ThreadPoolExecutor(_ROUTED_AT_ONCE, thread_name_prefix="sglang-router") as pool:
        answers = pool.map(lambda group: router.generate([requests[n] for n in group]), groups.values())
        for group, answer in zip(groups.values(), answers, strict=True):
            completions |= zip(group, answer, strict=True)
    return [completions[number] for number in range(len(requests))]


def _unsent(request: Request) -> Completion:
    """What there is of a request that was aborted before it was sent (again)."""
    if request.begun is not None:
        return replace(request.begun, finish_reason=FinishReason.ABORT)
    return Completion((), (), FinishReason.ABORT, weight_version=0)


def _split(items: Sequence[_Numbered], parts: int) -> list[Sequence[_Numbered]]:
    """At most `parts` shares of nearly equal size, in order: samples of a prompt share its KV cache."""
    count = min(parts, len(items))
    return [items[len(items) * part // count : len(items) * (part + 1) // count] for part in range(count)]
