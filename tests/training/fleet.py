"""A local engine that counts as shared, as a fleet of servers does, and whose answers take their time."""

import threading
import time

from training.rollout.local.engine import LocalEngine


class Fleet(LocalEngine):
    """Serves several threads at once; `slow` prompts take `pause_s` longer for each token."""

    shared = True

    def __init__(self, architecture, *, slow=lambda prompt: False, pause_s=0.05):
        super().__init__(architecture)
        self._slow, self._pause_s = slow, pause_s
        self._mine = threading.local()
        self.calls = 0

    def generate(self, prompts, sampling):
        self.calls += 1
        self._mine.pause_s = self._pause_s if any(map(self._slow, prompts)) else 0
        return super().generate(prompts, sampling)

    def update_weights(self, tensors, version):
        super().update_weights(tensors, version)
        step = self._decoder.step

        def slow_step(*args):
            time.sleep(self._mine.pause_s)
            return step(*args)

        self._decoder.step = slow_step
