"""An SGLang server that somebody else runs: we use it, wait for it when it is away, and never stop it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from evaluation.errors import WarpsmithError
from training.rollout.sglang.client import Client, ServerLost, ServerRefused

_FIRST_DELAY_S = 1.0
_LONGEST_DELAY_S = 30.0


class GivenEngine:
    """One server, by URL. A `fleet.Member`."""

    def __init__(self, client: Client, *, patience_s: float, restore: Callable[[Client], bool]) -> None:
        """A server that answers now.

        Args:
            client: speaks to it.
            patience_s: how long it may be away before the run gives up on it.
            restore: gives it the weights that it should have; whether it had lost them.
        """
        self.client = client
        self.restarts = 0
        self._patience_s, self._restore = patience_s, restore
        self._ready = True
        self._waiting = threading.Lock()

    @property
    def is_ready(self) -> bool:
        """Whether the last call to it was answered."""
        return self._ready

    def report_lost(self) -> None:
        """Hear that it gave no usable answer."""
        self._ready = False

    def wait_ready(self) -> None:
        """Return when the server answers and has the weights that it should have.

        Raises:
            WarpsmithError: it has been away for too long.
        """
        with self._waiting:
            start, delay = time.monotonic(), _FIRST_DELAY_S
            while not self._ready:
                if self._is_back():
                    self._ready = True
                    return
                if time.monotonic() - start > self._patience_s:
                    raise WarpsmithError(
                        f"{self.client.url} has answered nothing usable for {self._patience_s:.0f} s; start "
                        "the server again or take it out of rollout.engine_urls"
                    )
                time.sleep(delay)
                delay = min(2 * delay, _LONGEST_DELAY_S)

    def close(self) -> None:
        """Leave the server running."""

    def _is_back(self) -> bool:
        if not self.client.is_healthy():
            return False
        try:
            self.restarts += self._restore(self.client)
        except (ServerLost, ServerRefused):
            return False
        return True
