"""Processes of servers: watched, started again with growing delays, ended with whoever started them.

The "server" is a small HTTP server in a process of its own, so that its death is a real one.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from evaluation.errors import WarpsmithError
from training.launch.ports import free_port
from training.rollout.sglang import supervise
from training.rollout.sglang.client import Client
from training.rollout.sglang.server import Launch, require_module
from training.rollout.sglang.supervise import Supervisor

SERVER = """
import os, sys
from http.server import BaseHTTPRequestHandler, HTTPServer
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.send_header("content-length", "0"); self.end_headers()
if os.path.exists(sys.argv[2]):
    raise ValueError("this machine is haunted")
os.spawnlp(os.P_NOWAIT, "sleep", "sleep", "600")
HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


@pytest.fixture
def launch(tmp_path) -> Launch:
    port = free_port()
    return Launch(
        name="engine 0",
        command=(sys.executable, "-c", SERVER, str(port), str(tmp_path / "broken")),
        environment=dict(os.environ),
        url=f"http://127.0.0.1:{port}",
        log=tmp_path / "logs" / "server.log",
        start_timeout_s=30,
    )


@pytest.fixture(autouse=True)
def short_delays(monkeypatch):
    monkeypatch.setattr(supervise, "_FIRST_DELAY_S", 0.05)


def wait_for(condition) -> None:
    limit = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.02)


def members(group: int) -> list[int]:
    """Processes of a group that still run."""
    listed = subprocess.run(["ps", "-eo", "pid,pgid,stat"], capture_output=True, text=True, check=True).stdout
    rows = [line.split() for line in listed.splitlines()[1:]]
    return [int(pid) for pid, pgid, state in rows if int(pgid) == group and not state.startswith("Z")]


def supervisor(launch: Launch, restored: list[str], max_restarts: int = 2) -> Supervisor:
    def restore(client: Client) -> bool:
        restored.append(client.url)
        return True

    return Supervisor(launch, Client(launch.url), max_restarts=max_restarts, restore=restore)


def test_a_dead_server_is_replaced_and_given_its_weights(launch):
    restored: list[str] = []
    kept = supervisor(launch, restored)
    kept.wait_ready()
    assert kept.is_ready and restored == []
    first = kept.pid
    os.killpg(first, signal.SIGKILL)
    wait_for(lambda: not kept.is_ready)
    kept.report_lost()
    kept.wait_ready()
    assert kept.is_ready and kept.restarts == 1 and restored == [launch.url]
    second = kept.pid
    kept.close()
    assert members(first) == members(second) == []
    with pytest.raises(WarpsmithError, match="has stopped: closed"):
        kept.wait_ready()


def test_a_server_that_dies_too_often_is_given_up_with_its_log(launch, tmp_path, capsys):
    kept = supervisor(launch, [], max_restarts=2)
    kept.wait_ready()
    (tmp_path / "broken").touch()
    os.killpg(kept.pid, signal.SIGKILL)
    wait_for(lambda: not kept.is_ready)
    kept.report_lost()
    with pytest.raises(
        WarpsmithError, match=r"engine 0 has stopped: .*status 1 \(ValueError: this machine is h"
    ):
        kept.wait_ready()
    assert kept.restarts == 2
    told = [line for line in capsys.readouterr().out.splitlines() if "started again" in line]
    assert len(told) == 2 and "(1 of 2)" in told[0] and "(2 of 2)" in told[1]
    kept.close()


def test_a_server_that_hangs_is_replaced(launch, monkeypatch):
    monkeypatch.setattr("training.rollout.sglang.client._PROBE_S", 0.5)
    kept = supervisor(launch, [])
    kept.wait_ready()
    kept.report_lost()  # one lost answer of a healthy server is no reason
    assert kept.is_ready
    os.killpg(kept.pid, signal.SIGSTOP)
    monkeypatch.setattr(
        "training.rollout.sglang.server._FAREWELL_S", 0.2
    )  # a stopped process heeds only KILL
    kept.report_lost()
    kept.wait_ready()
    assert kept.restarts == 1
    kept.close()


def test_a_server_that_never_starts_is_not_tried_again(launch, tmp_path):
    (tmp_path / "broken").touch()
    kept = supervisor(launch, [])
    with pytest.raises(WarpsmithError, match="haunted"):
        kept.wait_ready()
    assert kept.restarts == 0
    kept.close()


STARTER = """
import sys, time
from pathlib import Path
from training.rollout.sglang.server import Launch, ServerProcess
log, *command = sys.argv[1:]
print(ServerProcess(Launch("engine 0", tuple(command), {}, "", Path(log), 30)).pid, flush=True)
time.sleep(600)
"""


def test_no_process_outlives_the_one_that_started_it(launch):
    """Even one that is killed, and with children of the server that know of nothing."""
    starter = subprocess.Popen(
        [sys.executable, "-c", STARTER, str(launch.log), *launch.command], stdout=subprocess.PIPE, text=True
    )
    group = int(starter.stdout.readline())
    wait_for(lambda: len(members(group)) == 3)  # guard, server and its child
    starter.kill()
    starter.wait()
    wait_for(lambda: members(group) == [])


def test_a_module_that_is_missing_is_named():
    environment = dict(os.environ)
    require_module(sys.executable, environment, "json", "")
    with pytest.raises(WarpsmithError, match=r"no_such_module is not installed for .*; install it"):
        require_module(sys.executable, environment, "no_such_module", "install it")


def test_the_guard_needs_nothing_but_python():
    guard = Path(supervise.__file__).with_name("guard.py")
    command = [sys.executable, "-I", "-S", guard, "sh", "-c", "kill -KILL $$"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as guarded:
        assert guarded.wait(20) == 128 + signal.SIGKILL
