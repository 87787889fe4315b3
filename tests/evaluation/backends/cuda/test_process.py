"""What the processes of the cuda backend share: messages with deadlines, and turns on the GPU. No GPU."""

from __future__ import annotations

import json
import os
import socket
import struct
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.backends.cuda.backend import CudaBackend, believed
from evaluation.backends.cuda.channel import MAX_BYTES, Channel, ChannelClosedError
from evaluation.backends.cuda.lock import DeviceLock
from evaluation.backends.cuda.process import Job, Zygote
from evaluation.errors import EvaluatorFailure
from evaluation.timing.samples import TimingSettings
from evaluation.timing.timer import Timer
from evaluation.verdict import Refusal, Status

JSON = st.dictionaries(st.text(), st.integers() | st.text() | st.lists(st.booleans()))


@settings(deadline=None)
@given(JSON, st.binary(max_size=1000))
def test_a_message_arrives_as_it_was_sent(message, blob):
    ours, theirs = Channel.pair()
    other = Channel(theirs)
    ours.send(message, blob)
    assert other.receive(1) == (message, blob)
    ours.close()
    other.close()


def test_silence_is_a_timeout_and_a_closed_end_is_noticed():
    ours, theirs = Channel.pair()
    with pytest.raises(TimeoutError):
        ours.receive(0.01)
    theirs.close()
    with pytest.raises(ChannelClosedError):
        ours.receive(1)
    with pytest.raises(ChannelClosedError):
        ours.send({})


@pytest.mark.parametrize(
    "data",
    [
        struct.pack("<II", MAX_BYTES + 1, 0),
        struct.pack("<II", 0, MAX_BYTES + 1),
        struct.pack("<II", 3, 0) + b"not",
        struct.pack("<II", 2, 0) + b"[]",
        struct.pack("<II", 100_000, 0) + b"[" * 100_000,
        b"abc",
    ],
)
def test_what_no_sound_process_sends_ends_the_conversation(data):
    ours, theirs = Channel.pair()
    theirs.sendall(data)
    theirs.close()
    with pytest.raises(ChannelClosedError):
        ours.receive(1)


def test_file_descriptors_travel_beside_a_message():
    ours, theirs = Channel.pair()
    reading, writing = os.pipe()
    ours.send({"a": 1}, descriptors=[writing])
    message, (copy,) = Channel(theirs).receive_with_descriptors()
    os.write(copy, b"hello")
    assert message == {"a": 1}
    assert os.read(reading, 5) == b"hello"
    for descriptor in (reading, writing, copy):
        os.close(descriptor)


def test_a_slow_sender_does_not_extend_the_deadline():
    ours, theirs = Channel.pair()
    text = json.dumps({"a": "b" * 100}).encode()
    theirs.sendall(struct.pack("<II", len(text), 0) + text[:50])
    begin = time.monotonic()
    with pytest.raises(TimeoutError):
        ours.receive(0.05)
    assert time.monotonic() - begin < 5
    assert isinstance(theirs, socket.socket)


@pytest.fixture
def lock(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return lambda patience_s=5.0: DeviceLock(0, seats=2, patience_s=patience_s)


def waited(lock_of_one, how):
    begin = time.monotonic()
    with getattr(lock_of_one, how)():
        return time.monotonic() - begin


def test_as_many_as_there_are_seats_share_a_gpu_and_the_next_waits_no_longer_than_its_patience(lock):
    with lock().share(), lock().share():
        assert waited(lock(0.2), "share") >= 0.2


def test_a_measurement_is_alone(lock):
    with lock().alone():
        assert waited(lock(0.2), "share") >= 0.2
    with lock().share():
        assert waited(lock(0.1), "alone") >= 0.2
    assert waited(lock(60), "alone") < 30


def test_a_dead_holder_leaves_its_seat(lock):
    pid = os.fork()
    if pid == 0:
        with lock().alone():
            os._exit(0)
    os.waitpid(pid, 0)
    assert waited(lock(60), "alone") < 30


@pytest.mark.parametrize(
    ("statuses", "expected", "attempts"),
    [
        ([Status.TIMEOUT, Status.TIMEOUT], Status.TIMEOUT, 2),
        ([Status.TIMEOUT, Status.FAULT], Status.FAULT, 2),
        ([Status.FAULT], Status.FAULT, 1),
    ],
)
def test_a_timeout_counts_only_if_it_happens_twice(statuses, expected, attempts):
    refusals = [Refusal(status=status, reason="") for status in statuses]
    remaining = list(refusals)
    found = believed(lambda limit_s: remaining.pop(0), 1.0)
    assert isinstance(found, Refusal)
    assert found.status is expected
    assert len(refusals) - len(remaining) == attempts


@pytest.mark.parametrize(("limit_s", "second"), [(0.5, 2.0), (3.0, 3.0)])
def test_a_candidate_that_was_only_held_up_keeps_its_outputs(limit_s, second):
    answers = [Refusal(status=Status.TIMEOUT, reason="did not finish within 0.5 s"), ["outputs"]]
    limits = []

    def attempt(given):
        limits.append(given)
        return answers.pop(0)

    assert believed(attempt, limit_s) == ["outputs"]
    assert limits == [limit_s, second]


@pytest.fixture
def dead_zygote(tmp_path):
    """A zygote whose process has ended."""
    zygote = object.__new__(Zygote)
    zygote._device, zygote._debug, zygote._proven = 0, False, True
    zygote._log = tmp_path / "zygote.log"
    zygote._log.write_text("Killed\n")
    zygote._channel, theirs = Channel.pair()
    theirs.close()
    yield zygote
    zygote._channel.close()


def test_a_dead_zygote_is_told_and_nothing_is_left_open(dead_zygote):
    before = os.listdir("/proc/self/fd")
    for start in (dead_zygote.fork, dead_zygote.fork_ready):
        with pytest.raises(EvaluatorFailure, match=r"died or hangs \(Killed"):
            start(Job.CHECK)
    assert os.listdir("/proc/self/fd") == before


def test_a_backend_whose_zygote_died_does_not_wait_for_ever(dead_zygote):
    backend = object.__new__(CudaBackend)
    backend._worker = backend._standby = None
    backend.__dict__["zygote"] = dead_zygote
    with pytest.raises(EvaluatorFailure):
        backend._ready_worker()


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"status": "launch_error", "reason": "no"}, Status.LAUNCH_ERROR),
        ({"status": "fault", "reason": "no"}, Status.FAULT),
        (TimeoutError(), Status.TIMEOUT),
        ({"status": "no_memory", "reason": "no"}, None),
        ({"status": "failure", "reason": "no"}, None),
        (ChannelClosedError(), None),
    ],
)
def test_only_what_a_candidate_can_do_is_its_doing_while_it_is_timed(answer, expected):
    class Answering:
        def ask(self, *_, **__):
            if isinstance(answer, Exception):
                raise answer
            return answer, b""

        def close(self):
            pass

    def asked(what):
        timer = object.__new__(Timer)
        timer._settings, timer._workers = TimingSettings(), {Job.TIME: Answering()}
        return timer._ask(Job.TIME, {"do": what})

    assert isinstance(asked("prepare"), Refusal)  # whatever happens then is the program's doing
    if expected is None:
        with pytest.raises(EvaluatorFailure):
            asked("sample")
    else:
        assert asked("sample").status is expected
