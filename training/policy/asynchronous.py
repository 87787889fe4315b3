"""Rollouts of the steps to come, made while training on this one's.

With a lag of n, the rollout of step s + n is generated while step s trains, one rollout at a time, and judged
after that while the next is generated already:

    main thread   train s ─────────┐ weights ┐ train s+1 ───────┐ weights ┐
    a rollout     generate s+1 ──┐ │         │ judge s+1 (rest) │         │
    the next                     judge s+1 ──┤ generate s+2 ────┴ judge ..│

Weights change between generations only: so it is known which weights write which rollout, those of step
max(s - n, 0) for step s, whatever the timing. Nothing is trained on later than n updates after it was begun.
With `partial_rollout` weights do not wait: what is being generated is interrupted and goes on with new ones.

A snapshot waits for the rollouts that are under way and keeps them, so a resumed run trains on the very same.
With a lag of 0 there are no threads, and a rollout is made when it is asked for.
"""

from __future__ import annotations

import pickle
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from typing import TypeAlias

from training.rollout.buffer import Collection
from training.rollout.draw import Rollouts
from training.rollout.ranks import Ranks
from training.rollout.rewards.rewards import RewardFunction
from training.rollout.rewards.timing import Seconds
from training.settings.optimization import GrpoSettings

Rollout: TypeAlias = tuple[Collection, Seconds]

_FAREWELL_S = 5.0


class RolloutQueue:
    """Hands out the rollout of each step in turn. Collective: all ranks call it, from the main thread."""

    def __init__(self, rollouts: Rollouts, settings: GrpoSettings) -> None:
        """Nothing is made yet; collective."""
        self._rollouts = rollouts
        self._lag, self._steps = settings.lag, settings.steps
        self._interrupts = settings.asynchronous and settings.partial_rollout
        self._groups = [Ranks.together() for _ in range(settings.lag + 1)]
        self._queue: dict[int, _Worker] = {}

    def take(self, step: int) -> Rollout:
        """The rollout to train on in `step`; begins those that come after it, as far as the lag allows.

        Without a lag the engine lends its memory to those who judge, and is not resumed."""
        if self._lag == 0:
            lend = self._rollouts.responder.engine.engine.lend
            return self._rollouts.collect(step, self._groups[0], lend)
        for ahead in range(step, min(step + self._lag + 1, self._steps)):
            if ahead not in self._queue:
                self._begin(ahead)
        return self._queue.pop(step).result()

    @contextmanager
    def weights_change(self) -> Iterator[None]:
        """Within it nothing is generated."""
        if self._interrupts:
            with self._rollouts.responder.engine.pause():
                yield
            return
        for worker in self._queue.values():
            worker.generated.wait()
        yield

    def finish_all(self) -> None:
        """Wait until all rollouts that were begun are generated and judged."""
        for worker in self._queue.values():
            worker.result()

    def state(self) -> bytes:
        """All that was made for later steps, for a snapshot; waits for what is under way."""
        made = {step: worker.result() for step, worker in self._queue.items()}
        return pickle.dumps((made, self._rollouts.left_over)) if made or self._rollouts.left_over else b""

    def restore(self, state: bytes) -> None:
        """Go on with what `state` gave."""
        made, self._rollouts.left_over = pickle.loads(state)
        self._queue = {step: _Worker.done(rollout) for step, rollout in made.items()}

    def close(self) -> None:
        """End the threads, as far as they can be ended after an error."""
        for worker in self._queue.values():
            if worker.is_alive():
                self._rollouts.responder.engine.engine.abort()
                worker.join(_FAREWELL_S)

    def _begin(self, step: int) -> None:
        """Make the rollout of `step` in a thread, after the one before it is generated."""
        before = self._queue.get(step - 1)
        ranks = self._groups[step % len(self._groups)]

        def make(on_generated: Callable[[], None]) -> Rollout:
            if before is not None:
                before.generated.wait()
            return self._rollouts.collect(step, ranks, on_generated)

        self._queue[step] = _Worker(make)
        self._queue[step].start()


class _Worker(threading.Thread):
    """A thread that makes one rollout; it does not keep a failing process from ending."""

    def __init__(self, make: Callable[[Callable[[], None]], Rollout]) -> None:
        super().__init__(daemon=True, name="rollout")
        self.generated = threading.Event()
        self._make = make
        self._rollout: Rollout | None = None
        self._error: BaseException | None = None

    @classmethod
    def done(cls, rollout: Rollout) -> _Worker:
        """One that gives `rollout` at once."""
        worker = cls(lambda on_generated: rollout)
        worker.start()
        return worker

    def run(self) -> None:
        """Make the rollout; what goes wrong is raised where it is asked for."""
        try:
            self._rollout = self._make(self.generated.set)
        except BaseException as error:
            self._error = error
        finally:
            self.generated.set()

    def result(self) -> Rollout:
        """The rollout, once it is made."""
        self.join()
        if self._error is not None:
            raise self._error
        assert self._rollout is not None
        return self._rollout


@contextmanager
def in_one_thread(opened: AbstractContextManager[RewardFunction]) -> Iterator[RewardFunction]:
    """A reward function that lives in a thread of its own, whichever threads call it.

    The evaluation pool wants that: its workers end with the thread that started them, and its cache is a
    database connection.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="judge") as thread:
        function = thread.submit(opened.__enter__).result()
        try:
            yield lambda responses: thread.submit(function, responses).result()
        finally:
            thread.submit(opened.__exit__, None, None, None).result()
