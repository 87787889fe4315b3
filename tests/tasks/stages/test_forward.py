"""Forwarding of training metrics: each step once, whatever happens to the process or to MLflow."""

from __future__ import annotations

import json
import time

import pytest

from tasks.stages.forward import Forwarder, read_steps


class MemorySink:
    """A run that remembers its steps."""

    def __init__(self):
        self.steps = []

    def log_steps(self, run_id, rows):
        self.steps += [row["step"] for row in rows]


def append(path, *steps):
    with path.open("a") as file:
        file.writelines(json.dumps({"step": step, "train/loss": 1.0}) + "\n" for step in steps)


def test_everything_is_logged_once_and_while_it_runs(tmp_path):
    path, sink = tmp_path / "metrics.jsonl", MemorySink()
    with Forwarder(path, sink, "run", poll_s=0.01):
        append(path, 1, 2)
        deadline = time.monotonic() + 10
        while sink.steps != [1, 2] and time.monotonic() < deadline:
            time.sleep(0.01)
        assert sink.steps == [1, 2]
        append(path, 3)
    assert sink.steps == [1, 2, 3]


def test_what_a_failed_stage_did_is_logged_too(tmp_path):
    path, sink = tmp_path / "metrics.jsonl", MemorySink()
    with pytest.raises(KeyError), Forwarder(path, sink, "run"):
        append(path, 1)
        raise KeyError
    assert sink.steps == [1]


def test_a_line_that_is_being_written_waits(tmp_path):
    path = tmp_path / "metrics.jsonl"
    append(path, 1)
    with path.open("a") as file:
        file.write('{"step": 2, "train')
    assert [row["step"] for row in read_steps(path)] == [1]
    assert read_steps(tmp_path / "none.jsonl") == []
