"""Keeps one SGLang server running: starts it, watches it, starts it again when it dies.

Everything about the process happens in one thread of its own, so that requests need not wait to learn that it
died, and several servers start side by side.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from enum import StrEnum

from evaluation.errors import WarpsmithError
from training.rollout.sglang.client import Client
from training.rollout.sglang.server import Launch, ServerDied, ServerProcess

_FIRST_DELAY_S = 1.0
_LONGEST_DELAY_S = 60.0
#: A server that has served this long is in order: what it dies of later counts afresh.
_PROVEN_S = 600.0
_WATCH_S = 0.2


class State(StrEnum):
    """Whether a server can be used."""

    STARTING = "starting"  #: for the first time, or again
    READY = "ready"  #: healthy, with weights where it needs them
    FAILED = "failed"  #: dead, and out of restarts
    CLOSED = "closed"  #: stopped by us


class Supervisor:
    """One server and its restarts. A `fleet.Member`."""

    def __init__(
        self, launch: Launch, client: Client, *, max_restarts: int, restore: Callable[[Client], bool]
    ) -> None:
        """Begin to start the server; `wait_ready` waits for it.

        Args:
            launch: how it is started.
            client: speaks to it.
            max_restarts: how often it may die before it is given up.
            restore: called after a restart, gives the server the weights that it lost.
        """
        self.launch, self.client = launch, client
        self._restore, self._max_restarts = restore, max_restarts
        self._changed = threading.Condition()
        self._state, self._reason = State.STARTING, ""
        self._process: ServerProcess | None = None
        self._has_served = False  # a server that never starts is misconfigured: trying again is no use
        self.restarts = 0
        self._thread = threading.Thread(target=self._run, name=launch.name, daemon=True)
        self._thread.start()

    @property
    def is_ready(self) -> bool:
        """Whether the server can be used now."""
        process = self._process
        return self._state is State.READY and process is not None and process.is_alive

    @property
    def pid(self) -> int | None:
        """Id of the server's process group."""
        return self._process.pid if self._process else None

    def wait_ready(self) -> None:
        """Return when the server can be used.

        Raises:
            WarpsmithError: it cannot be started, or has died too often.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._state is not State.STARTING)
            if self._state is not State.READY:
                raise WarpsmithError(f"SGLang's {self.launch.name} has stopped: {self._reason or 'closed'}")

    def report_lost(self) -> None:
        """Hear that the server gave no usable answer: if it is dead, or alive and hangs, it is replaced."""
        process = self._process
        if process is None or self._state is not State.READY:
            return
        if not process.wait(_WATCH_S):
            if self.client.is_healthy():
                return
            process.stop()
        if self._process is process:  # else another has taken its place meanwhile
            self._set(State.STARTING, only_from=State.READY)

    def close(self) -> None:
        """Stop the server for good."""
        self._set(State.CLOSED)
        self._thread.join()

    def _run(self) -> None:
        failures, delay = 0, _FIRST_DELAY_S
        while not self._is_closed:
            begin = time.monotonic()
            reason = self._serve()
            if self._is_closed:
                return
            if time.monotonic() - begin > _PROVEN_S:
                failures, delay = 0, _FIRST_DELAY_S
            failures += 1
            if failures > self._max_restarts or not self._has_served:
                self._reason = reason
                self._set(State.FAILED)
                return
            self._set(State.STARTING)
            print(
                f"sglang: {self.launch.name} will be started again in {delay:.0f} s "
                f"({failures} of {self._max_restarts}): {reason.splitlines()[0]}",
                flush=True,
            )
            self._sleep(delay)
            delay = min(2 * delay, _LONGEST_DELAY_S)
            self.restarts += 1

    def _serve(self) -> str:
        """Run one process to its end; why it ended."""
        self._process = process = ServerProcess(self.launch)
        begin = time.monotonic()
        try:
            process.wait_healthy(self.client, lambda: self._is_closed)
            if self.restarts and not self._is_closed:
                self._restore(self.client)
            self._set(State.READY, only_from=State.STARTING)
            self._has_served = True
            print(f"sglang: {self.launch.name} ready after {time.monotonic() - begin:.0f} s", flush=True)
            while not self._is_closed and not process.wait(_WATCH_S):
                pass
            return process.death()
        except ServerDied as error:
            return str(error)
        except Exception as error:  # the weights could not be given back; a fresh start may do it
            return f"it could not be given its weights ({error})"
        finally:
            process.stop()

    @property
    def _is_closed(self) -> bool:
        return self._state is State.CLOSED

    def _set(self, state: State, *, only_from: State | None = None) -> None:
        with self._changed:
            if self._is_closed or (only_from is not None and self._state is not only_from):
                return
            self._state = state
            self._changed.notify_all()

    def _sleep(self, seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._is_closed, timeout=seconds)
