"""Lines of child processes are heard and shown, also of one that is killed or outlives the block."""

from __future__ import annotations

import os
import subprocess

from tasks.stages import overhear
from tasks.stages.overhear import overheard


def test_lines_of_a_child_are_heard_and_shown_as_they_are(capfd):
    heard = []
    with overheard(heard.append):
        subprocess.run("echo one; printf two; kill -9 $$", shell=True)
    print("after", flush=True)
    os.write(1, b"still open\n")
    assert heard == ["one", "two"]
    assert capfd.readouterr().out == "one\ntwoafter\nstill open\n"


def test_a_process_that_outlives_the_stage_holds_nothing_up(capfd, monkeypatch):
    monkeypatch.setattr(overhear, "_FAREWELL_S", 0.1)
    heard = []
    with overheard(heard.append):
        left = subprocess.Popen("echo here; exec sleep 60", shell=True)
        while not heard:
            pass
    left.kill()
    left.wait()
    assert heard == ["here"]


def test_more_than_a_pipe_holds_passes(capfd):
    heard = []
    with overheard(heard.append):
        subprocess.run("seq 50000", shell=True)
    assert len(heard) == 50000 and heard[-1] == "50000"
    assert len(capfd.readouterr().out.split()) == 50000
