"""The server of a flow run ends with it, and the schedule of the deployments is real."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import pytest

from flows.server import answers, prefect_api
from training.launch.ports import is_free

#: Starts a server as a flow run does, and waits to be killed.
HOLD = """
import signal, time
from flows.server import prefect_api
signal.signal(signal.SIGTERM, lambda number, frame: None)
with prefect_api() as api:
    print(api.url, flush=True)
    api.wait()
    print("up", flush=True)
    time.sleep(900)
"""


@pytest.fixture
def held_server(checkout, monkeypatch, tmp_path):
    """A process that holds a server, and the server's address."""
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "artifacts" / "prefect"))
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD], stdout=subprocess.PIPE, text=True, process_group=0
    )
    url = holder.stdout.readline().strip()
    assert holder.stdout.readline() == "up\n"
    yield holder, url
    holder.kill()
    holder.wait()


def test_a_port_that_somebody_listens_at_is_not_free():
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert not is_free(server.getsockname()[1])
    assert is_free(server_port_after_closing())


def server_port_after_closing() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def test_an_api_that_the_user_names_is_taken(monkeypatch):
    monkeypatch.setenv("PREFECT_API_URL", "http://elsewhere/api")
    with prefect_api() as api:
        assert api.url == "http://elsewhere/api"


#: What `make serve` does at the API, and what a user and a killed worker do between two starts of it.
SERVED = """
import subprocess, sys
from datetime import datetime, timezone
from flows.deployments import continue_lost_runs, date_of, deploy
from prefect.client.orchestration import get_client
from prefect.states import Running

def prefect(*arguments):
    command = [sys.executable, "-m", "prefect", "--no-prompt", *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr

prefect("work-pool", "create", "warpsmith", "--type", "process")
deploy(lambda: prefect("deploy", "--all"))
print("deployed", flush=True)
sys.stdin.readline()
add = ("--cron", "30 0 * * *", "--timezone", "Asia/Tokyo")
prefect("deployment", "schedule", "create", "nightly/cpu", *add)
with get_client(sync_client=True) as client:
    nightly = client.read_deployment_by_name("nightly/cpu")
    built_in = next(one for one in nightly.schedules if one.slug == "every-night")
    client.update_deployment_schedule(nightly.id, built_in.id, active=False)
    deploy(lambda: prefect("deploy", "--all"))
    schedules = client.read_deployment_schedules(nightly.id)
    found = {(one.schedule.cron, one.active) for one in schedules}
    assert found == {("0 2 * * *", False), ("30 0 * * *", True)}, found
    assert nightly.parameters["night"] == "today"

    tokyo = next(one for one in schedules if one.schedule.timezone == "Asia/Tokyo")
    run = client.create_flow_run_from_deployment(nightly.id)
    maker = run.created_by.model_copy(update={"type": "SCHEDULE", "id": tokyo.id}) if run.created_by else None
    if maker is None:
        from prefect.client.schemas.objects import CreatedBy
        maker = CreatedBy(id=tokyo.id, type="SCHEDULE", display_value="")
    planned = datetime(2026, 12, 1, 15, 30, tzinfo=timezone.utc)  # 00:30 of the 2nd in Tokyo
    late = run.model_copy(update={"created_by": maker, "expected_start_time": planned})
    assert date_of(late).isoformat() == "2026-12-02"

    client.set_flow_run_state(run.id, Running(), force=True)
    assert continue_lost_runs("warpsmith") == [run.name]
    again = client.read_flow_run(run.id)
    assert again.state_name == "Scheduled" and again.next_scheduled_start_time == run.expected_start_time
    for _ in range(3):
        client.set_flow_run_state(run.id, Running(), force=True)
    assert continue_lost_runs("warpsmith") == []
    assert client.read_flow_run(run.id).state_name == "Crashed"
"""


@pytest.mark.slow
def test_schedules_are_real_and_a_killed_run_leaves_no_server(held_server):
    """Those of users survive, a killed worker's run goes on, and a signal to the run leaves it its server."""
    holder, url = held_server
    environment = {**os.environ, "PREFECT_API_URL": url}
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", SERVED]
    served = subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
    assert served.stdout.readline() == "deployed\n", served.communicate()[1]
    check_schedule(url)
    _, errors = served.communicate("\n")
    assert served.returncode == 0, errors

    os.killpg(holder.pid, signal.SIGTERM)  # as batch systems send it: the run must be able to report
    time.sleep(1)
    assert holder.poll() is None and answers(f"{url}/health")
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    port = int(url.rsplit(":", 1)[1].split("/")[0])
    deadline = time.monotonic() + 5
    while not is_free(port) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert is_free(port)


def check_schedule(url):
    """With some library versions Prefect silently creates no scheduled runs: those of ours must appear."""
    scheduled = wait_for_scheduled_runs(url)
    expected = {"profile": "cpu", "night": "today", "arguments": []}
    assert scheduled and all(run["parameters"] == expected for run in scheduled)
    assert all(run["expected_start_time"][11:16] == "02:00" for run in scheduled)


def wait_for_scheduled_runs(url):
    """The flow runs that the server's scheduler has made; none if it makes none for twenty seconds."""
    body = json.dumps({"flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}}}).encode()
    deadline = time.monotonic() + 20
    runs = []
    while not runs and time.monotonic() < deadline:
        request = urllib.request.Request(
            f"{url}/flow_runs/filter", body, {"Content-Type": "application/json"}, method="POST"
        )
        with urllib.request.urlopen(request) as response:
            runs = json.load(response)
        time.sleep(0.5)
    return runs
