"""Forwarding of training metrics: each step once, whatever happens to the process or to MLflow."""

from __future__ import annotations

import json
import time

import pytest

from tasks.forward import Forwarder, read_steps


class MemorySink:
    """A run that remembers its steps, and refuses the first `failures` requests."""

    def __init__(self, steps=(), failures=0):
        self.steps, self.failures = list(steps), failures

    def log_steps(self, run_id, rows):
        if self.failures:
            self.failures -= 1
            raise ConnectionError("away")
        self.steps += [row["step"] for row in rows]

    def last_step(self, run_id, metric):
        return max(self.steps, default=-1)


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


def test_a_resumed_run_gets_only_the_steps_that_it_lacks(tmp_path):
    path, sink = tmp_path / "metrics.jsonl", MemorySink(steps=[1, 2, 3])
    append(path, 1, 2)
    with Forwarder(path, sink, "run"):
        append(path, 3, 4)
    assert sink.steps == [1, 2, 3, 4]


def test_trouble_with_mlflow_loses_nothing(tmp_path):
    path, sink = tmp_path / "metrics.jsonl", MemorySink(failures=2)
    append(path, 1)
    with Forwarder(path, sink, "run", poll_s=0.01):
        time.sleep(0.1)
    assert sink.steps == [1]


def test_lasting_trouble_is_raised_at_the_end(tmp_path):
    append(tmp_path / "metrics.jsonl", 1)
    with (
        pytest.raises(ConnectionError),
        Forwarder(tmp_path / "metrics.jsonl", MemorySink(failures=99), "run"),
    ):
        pass


def test_a_failed_stage_keeps_its_own_error(tmp_path):
    append(tmp_path / "metrics.jsonl", 1)
    with pytest.raises(KeyError), Forwarder(tmp_path / "metrics.jsonl", MemorySink(failures=99), "run"):
        raise KeyError


def test_a_line_that_is_being_written_waits(tmp_path):
    path = tmp_path / "metrics.jsonl"
    append(path, 1)
    with path.open("a") as file:
        file.write('{"step": 2, "train')
    assert [row["step"] for row in read_steps(path)] == [1]
    assert read_steps(tmp_path / "none.jsonl") == []
