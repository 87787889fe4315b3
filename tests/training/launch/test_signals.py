"""How a process learns that it is asked to stop."""

import os
import signal

from training.launch.signals import SIGNALS, StopRequest, handling


def test_a_signal_is_noted_and_handlers_are_put_back(single_process, tmp_path):
    before = [signal.getsignal(number) for number in SIGNALS]
    request = StopRequest(tmp_path / "stop", tmp_path / "failed")
    with handling(request.handle):
        assert not request.agreed()
        os.kill(os.getpid(), signal.SIGUSR1)
        assert request.agreed()
    assert [signal.getsignal(number) for number in SIGNALS] == before


def test_the_launchers_file_counts_as_a_signal(single_process, tmp_path):
    request = StopRequest(tmp_path / "stop", None)
    assert not request.agreed()
    (tmp_path / "stop").touch()
    assert request.agreed()
