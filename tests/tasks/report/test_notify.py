"""Messages reach a receiver; one that is dead costs a warning, and its address is said nowhere."""

from __future__ import annotations

import http.server
import json
import logging
import threading
from pathlib import Path

import pytest

from evaluation.errors import WarpsmithError
from tasks.disk.layout import Layout, Stage
from tasks.report.notify import VARIABLE, Event, cause, notify


@pytest.fixture
def receiver():
    """A web hook on this machine; gives its address and what it was sent."""
    received = []

    class Hook(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Hook)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"json://user:s3cret@127.0.0.1:{server.server_port}/hook", received
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("event", "urgency"),
    [
        (Event.STARTED, "info"),
        (Event.FAILED, "failure"),
        (Event.PROMOTED, "success"),
        (Event.DRIFTING, "warning"),
    ],
)
def test_a_message_says_which_night_and_what(receiver, monkeypatch, event, urgency):
    address, received = receiver
    monkeypatch.setenv(VARIABLE, address)
    assert notify(event, "2026-12-01", "cpu", "+3 points <b>") is None
    (message,) = received
    assert message["title"] == f"Warpsmith cpu: night 2026-12-01 {event.value}"
    assert message["message"] == "+3 points <b>" and message["type"] == urgency


@pytest.mark.parametrize("address", ["json://user:s3cret@127.0.0.1:9/hook", "nosuch://s3cret", ":s3cret:"])
def test_a_dead_receiver_is_a_warning_without_its_address(address, monkeypatch, caplog, capfd):
    monkeypatch.setenv(VARIABLE, address)
    with caplog.at_level(logging.DEBUG):
        warning = notify(Event.STARTED, "n", "cpu", "text")
    assert warning == "the message that the night is started could not be delivered; see WARPSMITH_NOTIFY_URL"
    assert "s3cret" not in caplog.text + "".join(capfd.readouterr())


def test_one_dead_receiver_of_two_is_said_and_the_other_has_the_message(receiver, monkeypatch):
    address, received = receiver
    monkeypatch.setenv(VARIABLE, f"{address} json://127.0.0.1:9/hook")
    assert notify(Event.FAILED, "n", "cpu", "text") and len(received) == 1


def test_nobody_is_told_where_nobody_wants_it(monkeypatch):
    monkeypatch.setenv(VARIABLE, "")
    assert notify(Event.FAILED, "n", "cpu", "text") is None


def test_a_failure_comes_with_the_end_of_the_log(tmp_path):
    layout = Layout(Path(tmp_path), "cpu")
    assert cause(layout, WarpsmithError("stage grpo: it broke")) == "stage grpo: it broke"
    log = layout.training("n", Stage.GRPO) / "stderr.log"
    log.parent.mkdir(parents=True)
    log.write_text("".join(f"line {i}\n" for i in range(50)))
    layout.failure(Stage.GRPO).parent.mkdir()
    layout.failure(Stage.GRPO).write_text("it broke")
    said = cause(layout, WarpsmithError("stage grpo: it broke")).splitlines()
    assert said[0] == "stage grpo: it broke" and said[-1] == "line 49" and "line 29" not in said
