"""What a confined command cannot do, tried from a shell script inside it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from evaluation import confine, toolchain
from evaluation.errors import WarpsmithError


def has_landlock() -> bool:
    """Whether the kernel restricts file access by path (system call 444 with the version flag)."""
    import ctypes

    return ctypes.CDLL(None).syscall(444, None, 0, 1) > 0


needs_landlock = pytest.mark.skipif(not has_landlock(), reason="this kernel has no Landlock")


def run(script: str, writable: Path, *, cpu_seconds: int = 5, memory_mb: int = 512, file_mb: int = 1):
    argv = confine.command(
        ["/bin/sh", "-c", script],
        writable=writable, readable=confine.SYSTEM_FOLDERS,
        cpu_seconds=cpu_seconds, memory_mb=memory_mb, file_mb=file_mb,
    )  # fmt: skip
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, cwd="/")


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


def test_it_cannot_open_sockets(tmp_path):
    probe = "import socket; socket.socket()"
    argv = confine.command(
        [sys.executable, "-c", probe], writable=tmp_path,
        readable=[*confine.SYSTEM_FOLDERS, Path(sys.prefix), Path(sys.base_prefix)],
        cpu_seconds=5, memory_mb=512, file_mb=1,
    )  # fmt: skip
    done = subprocess.run(argv, capture_output=True, text=True)
    assert "PermissionError" in done.stderr


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
        made.append(toolchain.artifact("x", compiler, ["key"], toolchain.NATIVE / "confine.c", build))

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
        toolchain.artifact("x", toolchain.find_compiler(), [], toolchain.NATIVE / "confine.c", build)
    assert list(tmp_path.iterdir()) == []
