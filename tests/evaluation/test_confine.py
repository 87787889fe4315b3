"""What a confined command cannot do, tried from a shell script inside it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from evaluation import confine, toolchain
from evaluation.errors import WarpsmithError

needs_landlock = pytest.mark.skipif(not confine.has_landlock(), reason="this kernel has no Landlock")
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


def capabilities(writable: Path, *readable: Path) -> dict[str, int]:
    """The capabilities that a confined command sees itself have, by the kernel's names for their sets."""
    lines = run("grep ^Cap /proc/self/status", writable, readable=[Path("/proc"), *readable]).stdout
    return {name: int(value, 16) for name, value in (line.split(":") for line in lines.splitlines())}


def run(
    script: str,
    writable: Path,
    *,
    shell: Sequence[str] = ("/bin/sh", "-c"),
    readable: Sequence[Path] = (),
    cpu_seconds: int = 5,
    memory_mb: int = 512,
    file_mb: int = 1,
    mode: confine.Mode = confine.Mode.SAME,
):
    argv = confine.command(
        [*shell, script],
        writable=writable, readable=[*confine.SYSTEM_FOLDERS, *readable], mode=mode,
        cpu_seconds=cpu_seconds, memory_mb=memory_mb, file_mb=file_mb,
    )  # fmt: skip
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, cwd=writable)


@pytest.fixture
def open_folder():
    """A folder below one that every user can pass through, unlike pytest's own."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        yield Path(name)


def test_it_can_work_in_its_folder(tmp_path):
    done = run(f"echo hello > {tmp_path}/a && cat {tmp_path}/a && echo $TMPDIR", tmp_path)
    assert done.stdout.split() == ["hello", str(tmp_path)]
    assert done.returncode == 0


@needs_landlock
def test_it_cannot_read_elsewhere(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("secret")
    (tmp_path / "own").mkdir()
    done = run(f"cat {secret} /etc/passwd; ls {Path.home()}", tmp_path / "own")
    assert done.stdout == ""
    assert done.returncode != 0


@needs_landlock
def test_it_cannot_write_elsewhere(tmp_path):
    (tmp_path / "own").mkdir()
    run(
        f"echo x > {tmp_path}/outside; rm -rf {tmp_path}/own/../other; mkdir {tmp_path}/made",
        tmp_path / "own",
    )
    assert [path.name for path in tmp_path.iterdir()] == ["own"]


@needs_landlock
def test_it_cannot_follow_a_link_out(tmp_path):
    (tmp_path / "own").mkdir()
    run(f"ln -s {tmp_path} {tmp_path}/own/link; echo x > {tmp_path}/own/link/outside", tmp_path / "own")
    assert not (tmp_path / "outside").exists()


PYTHON = {"shell": (sys.executable, "-c"), "readable": [Path(sys.prefix), Path(sys.base_prefix)]}


def test_it_cannot_open_sockets(tmp_path):
    assert "PermissionError" in run("import socket; socket.socket()", tmp_path, **PYTHON).stderr


@pytest.mark.parametrize(
    "statement",
    [
        "os.sched_setaffinity(os.getppid(), {0})",
        "os.sched_setscheduler(os.getppid(), os.SCHED_IDLE, os.sched_param(0))",
        "os.setpriority(os.PRIO_PROCESS, os.getppid(), 5)",
        "os.chmod('/tmp', 0o1777)",
        "os.chown('/tmp', 0, 0)",
        "os.utime('/tmp')",
        "os.setgroups([])",
        "os.mkfifo('fifo')",
        "fcntl.fcntl(0, fcntl.F_SETOWN, os.getppid())",
        "time.clock_settime(time.CLOCK_REALTIME, time.time())",
    ],
)
def test_it_cannot_touch_other_processes_or_the_machine(tmp_path, statement):
    done = run(f"import fcntl, os, time\n{statement}\nprint('it worked')", tmp_path, **PYTHON)
    assert done.stdout == "" and "Error: [Errno" in done.stderr


def test_it_has_no_capabilities(tmp_path):
    found = capabilities(tmp_path)
    assert found["CapPrm"] == found["CapEff"] == found["CapInh"] == 0
    assert found["CapBnd"] == 0 or os.geteuid() != 0


@needs_root
def test_root_becomes_nobody_where_nobody_can_work(open_folder):
    done = run(
        "id -u; id -G; echo x > $TMPDIR/a; stat -c %u $TMPDIR/a", open_folder, mode=confine.Mode.NOBODY
    )
    assert done.stdout.split() == ["65534"] * 3


@needs_root
def test_root_stays_where_nobody_cannot_reach_all_paths(open_folder):
    (open_folder / "own").mkdir()
    (open_folder / "given").mkdir(mode=0o700)
    (open_folder / "given" / "file").write_text("read")
    open_folder.chmod(0o755)
    script = f"id -u; cat {open_folder}/given/file; stat -c ' %u' $TMPDIR"
    done = run(script, open_folder / "own", readable=[open_folder / "given"], mode=confine.Mode.NOBODY)
    assert done.stdout.split() == ["0", "read", "0"]


@needs_root
def test_root_reads_what_another_user_keeps_for_himself(tmp_path):
    given = tmp_path / "given"
    given.mkdir(mode=0o700)
    (given / "file").write_text("read")
    os.chown(given, 1000, 1000)
    os.chown(given / "file", 1000, 1000)
    (tmp_path / "own").mkdir()
    assert run(f"cat {given}/file", tmp_path / "own", readable=[given]).stdout == "read"
    found = capabilities(tmp_path / "own", given)
    assert found["CapPrm"] == found["CapBnd"] == 1 << 2  # CAP_DAC_READ_SEARCH alone


def test_without_landlock_it_warns_once_or_refuses(monkeypatch, caplog):
    monkeypatch.setattr(confine, "has_landlock", lambda: False)
    confine._warn.cache_clear()
    confine.require_landlock(False)
    confine.require_landlock(False)
    assert caplog.text.count("no Landlock") == 1
    with pytest.raises(WarpsmithError, match="require_confinement"):
        confine.require_landlock(True)


def test_it_cannot_signal_others(tmp_path):
    victim = subprocess.Popen(["sleep", "60"])
    try:
        done = run(f"kill -9 {victim.pid} {os.getpid()}", tmp_path)
        assert done.returncode != 0
        assert victim.poll() is None
    finally:
        victim.kill()
        victim.wait()


def test_cpu_time_is_limited(tmp_path):
    assert run("while :; do :; done", tmp_path, cpu_seconds=1).returncode == -9


def test_file_size_is_limited(tmp_path):
    run(
        f"while echo 0123456789012345678901234567890123456789; do :; done > {tmp_path}/big",
        tmp_path,
        file_mb=1,
    )
    assert (tmp_path / "big").stat().st_size <= 2**20


def test_memory_is_limited(tmp_path):
    done = run("x=aaaaaaaa; while :; do x=$x$x$x$x; done", tmp_path, memory_mb=64)
    assert done.returncode != 0


def test_a_missing_command_is_told(tmp_path):
    argv = confine.command(
        ["/nonexistent"], writable=tmp_path, readable=[], cpu_seconds=1, memory_mb=64, file_mb=1
    )
    done = subprocess.run(argv, capture_output=True, text=True)
    assert done.returncode == 99
    assert "/nonexistent" in done.stderr


def test_without_a_compiler_there_is_one_clear_sentence(monkeypatch):
    toolchain.find_compiler.cache_clear()
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(WarpsmithError, match=r"no-such-compiler.*apt-get install g\+\+"):
        toolchain.find_compiler()
    toolchain.find_compiler.cache_clear()


def test_a_cache_folder_that_cannot_be_made_is_told(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("WARPSMITH_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(WarpsmithError, match="WARPSMITH_CACHE"):
        toolchain.cache_folder()


def test_racing_builders_share_one_artifact(monkeypatch, tmp_path):
    monkeypatch.setenv("WARPSMITH_CACHE", str(tmp_path))
    compiler = toolchain.find_compiler()
    barrier = threading.Barrier(4)

    def build(folder: Path) -> None:
        (folder / "part").write_text("whole")
        barrier.wait(10)

    def build_one() -> None:
        made.append(toolchain.artifact("x", compiler, ["key"], toolchain.NATIVE / "compile_server.c", build))

    made: list[Path] = []
    threads = [threading.Thread(target=build_one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 1
    assert [path.name for path in tmp_path.iterdir()] == [made[0].name]
    assert (made[0] / "part").read_text() == "whole"


def test_a_failed_build_leaves_nothing(monkeypatch, tmp_path):
    monkeypatch.setenv("WARPSMITH_CACHE", str(tmp_path))

    def build(folder: Path) -> None:
        (folder / "part").write_text("half")
        raise WarpsmithError("no")

    with pytest.raises(WarpsmithError):
        toolchain.artifact("x", toolchain.find_compiler(), [], toolchain.NATIVE / "compile_server.c", build)
    assert list(tmp_path.iterdir()) == []
