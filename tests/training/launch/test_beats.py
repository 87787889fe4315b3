"""A node that falls silent is named; one that ended by itself, or never was in this run, is not."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from training.launch.beats import beating


def node(folder: Path, number: int) -> Path:
    path = folder / f"node-{number}"
    path.mkdir()
    return path


def test_a_node_that_falls_silent_is_named(tmp_path):
    said, heard = [], threading.Event()
    other, mine = node(tmp_path, 1), node(tmp_path, 0)
    with beating(mine, lambda text: (said.append(text), heard.set()), every_s=0.01, silence_s=0.5):
        for sign in range(5):
            (other / "alive").write_text(str(sign))
            time.sleep(0.05)
        assert heard.wait(60)
    assert said == ["node-1 has given no sign of life for 0 s; is the machine down?"]


def test_a_node_that_ended_or_was_never_here_is_not_missed(tmp_path):
    said: list[str] = []
    (node(tmp_path, 2) / "alive").write_text("7")  # an earlier run's
    with beating(node(tmp_path, 0), said.append, every_s=0.01, silence_s=0.2):
        with beating(node(tmp_path, 1), said.append, every_s=0.01, silence_s=60):
            while not (tmp_path / "node-1" / "alive").exists():
                time.sleep(0.01)
        time.sleep(1)
    assert said == []
