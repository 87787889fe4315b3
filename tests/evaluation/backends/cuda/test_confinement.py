"""What a process of the cuda backend sees of its caller, and what it can do: tried without a GPU.

PyCUDA's place is taken by a module that looks around when it is imported, as hostile code in the process
could, so all but the driver is real here. Whether a driver works confined shows on a GPU alone.
"""

from __future__ import annotations

import json
import logging

import pytest

from evaluation import confine
from evaluation.backends.cuda.channel import ChannelClosedError
from evaluation.backends.cuda.process import Job, Purpose, Zygote
from evaluation.errors import WarpsmithError
from tests.evaluation.cuda_kernels import needs_gpu

needs_landlock = pytest.mark.skipif(not confine.has_landlock(), reason="this kernel has no Landlock")
LOOKS_AROUND = """
import ctypes, json, os, socket, subprocess, threading

def outcome(action):
    try:
        action()
        return "done"
    except OSError as error:
        return type(error).__name__

def name_a_thread():
    # as NVIDIA's driver does it, which gives up if it cannot
    fopen = ctypes.CDLL(None, use_errno=True).fopen
    fopen.restype = ctypes.c_void_p
    if not fopen(b"/proc/self/task/%d/comm" % threading.get_native_id(), b"w"):
        raise PermissionError

def listen():
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as ours:
        ours.bind("\\0ours")
        ours.listen()

found = {
    "environment": dict(os.environ),
    "reads a secret": outcome(lambda: open(SECRET).read()),
    "writes beside its folder": outcome(lambda: open(SECRET + ".new", "w")),
    "opens a connection": outcome(lambda: socket.create_connection(("127.0.0.1", 1))),
    "starts a program": outcome(lambda: subprocess.run(["true"], check=True)),
    "signals its caller": outcome(lambda: os.kill(os.getppid(), 0)),
    "names a thread": outcome(name_a_thread),
    "listens to itself": outcome(listen),
    "reaches the machine": outcome(lambda: socket.socket(socket.AF_INET)),
}
with open(os.path.join(os.environ["HOME"], "found.json"), "w") as file:
    json.dump(found, file)

class Error(Exception):
    pass

Stream = Event = Function = None
RuntimeError_ = LaunchError = LogicError = MemoryError = Error

def init():
    raise Error("there is no GPU")
"""


@pytest.fixture
def driver(tmp_path, monkeypatch):
    """Puts a module in the place of `pycuda.driver`, and a secret beside it."""
    (tmp_path / "path" / "pycuda").mkdir(parents=True)
    (tmp_path / "path" / "pycuda" / "__init__.py").touch()
    (tmp_path / "secret").write_text("a token")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "path"))
    monkeypatch.setenv("HF_TOKEN", "a token")
    confine._warn.cache_clear()

    def place(text):
        head = f"SECRET = {str(tmp_path / 'secret')!r}\n"
        (tmp_path / "path" / "pycuda" / "driver.py").write_text(head + text)

    return place


def found_by(zygote):
    return json.loads((zygote._scratch.path / "found.json").read_text())


@needs_landlock
def test_a_process_sees_no_secret_and_leaves_nothing(driver, caplog):
    driver(LOOKS_AROUND)
    zygote = Zygote(Purpose.CHECK, require_confinement=True)
    try:
        found = found_by(zygote)
        assert "HF_TOKEN" not in found.pop("environment")
        assert found == {
            "reads a secret": "PermissionError",
            "writes beside its folder": "PermissionError",
            "opens a connection": "PermissionError",
            "starts a program": "done",
            "signals its caller": "PermissionError",
            "names a thread": "done",
            "listens to itself": "done",
            "reaches the machine": "PermissionError",
        }
        assert zygote.confined
        with pytest.raises(ChannelClosedError):
            zygote.fork(Job.CHECK).wait_until_ready()
    finally:
        zygote.close()
    assert not zygote._scratch.path.exists()
    assert not caplog.records


@needs_landlock
def test_a_driver_that_does_not_work_confined_is_used_unconfined_with_one_warning(driver, caplog):
    driver(LOOKS_AROUND + "\nif found['reads a secret'] != 'done':\n    raise Error('refused')\n")
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            zygote = Zygote(Purpose.CHECK)
            assert not zygote.confined
            assert "HF_TOKEN" not in found_by(zygote)["environment"]
            zygote.close()
    assert caplog.text.count("run unconfined") == 1


@needs_landlock
def test_it_is_refused_where_confinement_is_required(driver):
    driver(LOOKS_AROUND + "\nif found['reads a secret'] != 'done':\n    raise Error('refused')\n")
    with pytest.raises(WarpsmithError, match=r"refused.*require_confinement"):
        Zygote(Purpose.CHECK, require_confinement=True)


def test_a_first_worker_that_does_not_come_up_is_tried_unconfined(driver, caplog):
    driver(LOOKS_AROUND)
    zygote = Zygote(Purpose.CHECK)
    with caplog.at_level(logging.WARNING), pytest.raises(WarpsmithError, match="no worker starts"):
        zygote.fork_ready(Job.CHECK)
    assert not zygote.confined
    assert caplog.text.count("run unconfined") == 1
    zygote.close()


@pytest.mark.parametrize(
    ("purpose", "jobs"),
    [
        pytest.param(Purpose.CHECK, [Job.CHECK], marks=needs_gpu),
        pytest.param(Purpose.MEASURE, [Job.TIME, Job.JUDGE], marks=needs_gpu),
    ],
)
def test_a_gpu_works_confined(purpose, jobs):
    zygote = Zygote(purpose, require_confinement=True)
    try:
        workers = [zygote.fork_ready(job) for job in jobs]
        assert zygote.confined
        for worker in workers:
            worker.close()
    finally:
        zygote.close()
