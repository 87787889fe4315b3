"""The compile and run servers of the `simt` backend, and the files that it leaves."""

from __future__ import annotations

import re
import signal
import struct
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from evaluation.backends.simt.backend import SimtBackend
from evaluation.backends.simt.compile import Shim
from evaluation.backends.simt.run import KernelRunner, Report, Variant, _interpret, runner
from evaluation.backends.simt.source import translation_unit
from evaluation.settings import EvaluationSettings
from evaluation.verdict import Refusal, Status
from tests.evaluation.simt_runs import HEAD, SETTINGS, outputs_of, plain_run


@pytest.fixture(scope="module")
def backend():
    with SimtBackend(SETTINGS) as simt:
        yield simt


@pytest.mark.parametrize("shim", Shim)
def test_both_ways_of_compiling_agree(backend, shim):
    """The compile server and a compiler started for one source give the same object file."""
    compiler = backend._compiler
    unit = translation_unit(HEAD + "if (i < n) o[i] = a[i]; }", {"k": "k"})
    served = compiler.compile(unit, "served", shim).read_bytes()
    server, compiler._servers[shim] = compiler._servers[shim], None
    if server is None:
        pytest.skip("this compiler is not GCC, so there is no compile server")
    alone = compiler.compile(unit, "alone", shim).read_bytes()
    compiler._servers[shim] = server
    assert served == alone


def test_dead_servers_are_replaced_and_change_no_verdict(backend):
    source = HEAD + "if (i < n) o[i] = a[i]; }"
    for server in (*backend._compiler._servers.values(), backend._runner._server):
        if server is not None:
            server._process.kill()
            server._process.wait()
    assert (outputs_of(backend, source, plain_run(8, block=8))["o"] == 1).all()
    assert (outputs_of(backend, source, plain_run(8, block=8))["o"] == 1).all()


def test_object_files_and_abandoned_folders_are_removed(tmp_path):
    with SimtBackend(EvaluationSettings(), tmp_path) as first:
        built = first.build(HEAD + "o[i] = a[i]; }", ["k"])
        path = built.path
        assert path.exists()
        del built
        assert not path.exists()
        abandoned = tmp_path / "warpsmith-simt-killed"
        abandoned.mkdir()
        (abandoned / "lock").touch()
        with SimtBackend(EvaluationSettings(), tmp_path):
            assert first.scratch.exists()
            assert not abandoned.exists()
    assert list(tmp_path.iterdir()) == []


def runner_call(function: str) -> int:
    """The address by which the runner calls a function of the C library: fixed, so a kernel could know it."""
    listing = subprocess.run(["objdump", "-d", runner(None)], capture_output=True, text=True, check=True)
    found = re.search(rf"^([0-9a-f]+) <{function}@plt>", listing.stdout, re.MULTILINE)
    assert found
    return int(found[1], 16)


def run_unruled(backend, source: str, seconds: float) -> dict[str, np.ndarray] | Refusal:
    """Build and run `k` without asking the static rules, as if it had got past them."""
    built = backend._compiler.compile(translation_unit(source, {"k": "k"}), "unruled")
    assert not isinstance(built, Refusal), built.reason
    limits = SETTINGS.model_copy(update={"time_limit_s": seconds})
    kernels = KernelRunner(limits, backend.scratch)
    result = kernels.run(built, plain_run(8, block=8), Variant())
    kernels.close()
    return result if isinstance(result, Refusal) else result[0]


#: Restores a forged signal frame in which every signal is blocked, and goes on at `spin`.
FORGED_FRAME = """
    __device__ void spin() { for (;;); }
    typedef long L;
    struct Frame {
        L link_stack[4], registers[15], sp, ip, flags, segments, error[5], reserved[8], mask;
    };
    extern "C" __global__ void k(float* o, const float* a, int n) {
        L stack[512];
        Frame frame = {};
        frame.sp = (L)(stack + 400);
        frame.ip = (L)&spin;
        frame.flags = 0x202;
        frame.segments = 0x002b000000000033L;
        frame.mask = -1L;
        ((L (*)(L, L, L, L, L, L, Frame))SYSCALL)(15, 0, 0, 0, 0, 0, frame);
    }
"""


def test_a_process_that_blocks_all_signals_is_ended_and_not_believed(backend):
    source = FORGED_FRAME.replace("SYSCALL", hex(runner_call("syscall")))
    start = time.monotonic()
    refusal = run_unruled(backend, source, seconds=1.0)
    assert isinstance(refusal, Refusal)
    assert refusal.status in (Status.TIMEOUT, Status.FAULT)  # a fault where the jump itself is refused
    assert time.monotonic() - start < 60


def test_a_run_dies_with_its_server(backend, monkeypatch):
    """Even if nobody is left to end the whole session."""
    built = backend.build(HEAD + "for (volatile int j = 0;; j++) {} }", ["k"])
    asked = []
    monkeypatch.setattr(backend._runner, "_ask", lambda request, seconds: asked.append(request) or 0)
    monkeypatch.setattr(backend._runner, "_settings", SETTINGS.model_copy(update={"access_budget": 10**12}))
    backend._runner.run(built.path, plain_run(8), Variant())
    with subprocess.Popen([runner(None)], stdin=subprocess.PIPE, text=True) as server:
        server.stdin.write(asked[0])
        server.stdin.flush()
        children = Path(f"/proc/{server.pid}/task/{server.pid}/children")
        while not children.read_text():
            time.sleep(0.01)
        run = Path(f"/proc/{children.read_text().split()[0]}/stat")
        server.kill()
    deadline = time.monotonic() + 5
    while is_running(run) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not is_running(run)


def is_running(stat: Path) -> bool:
    """Whether the process of a /proc/PID/stat lives; an orphan may stay a zombie."""
    try:
        return stat.read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.parametrize(
    ("report", "status"),
    [
        ("ok\tk\t0 0 0\t0 0 0\t7\t", Report(7, False)),
        ("ok\tk\t0 0 0\t0 0 0\t7\tok\tk\t0 0 0\t0 0 0\t9\t", "damaged"),
        ("ok\tk\t0 0 0\t0 0 0\t" + "9" * 5000 + "\t", "damaged"),
        ("ok\tk\t0 0 0\t0 0 0\t7", "damaged"),
        ("correct\tk\t0 0 0\t0 0 0\t7\t", "damaged"),
        ("", "damaged"),
        ("fault\tk\t0 0 0\t1 0 0\t7\tbroken", "kernel k, block (0, 0, 0), thread (1, 0, 0): broken"),
    ],
)
def test_only_one_complete_report_is_believed(report, status):
    result = _interpret(0, report, 0.1, 1.0)
    if isinstance(result, Refusal):
        assert result.status is Status.FAULT
        assert status in result.reason
    else:
        assert result == status


def test_an_ok_of_a_process_that_failed_is_not_believed():
    assert isinstance(_interpret(1 << 8, "ok\tk\t0 0 0\t0 0 0\t7\t", 0.1, 1.0), Refusal)


def test_a_kill_is_a_timeout_only_if_the_time_was_up():
    late, early = (_interpret(int(signal.SIGKILL), "", used, 1.0) for used in (1.1, 0.1))
    assert isinstance(late, Refusal)
    assert isinstance(early, Refusal)
    assert (late.status, early.status) == (Status.TIMEOUT, Status.FAULT)


def test_a_relocation_outside_its_section_is_refused(backend):
    """The loader applies relocations before the process is locked down."""
    built = backend.build(HEAD + "if (i < n) o[i] = a[i]; }", ["k"])
    move_relocations(built.path, -0x4FBEECD8)  # to the loader's own variables
    outcome = backend.run(built, [plain_run(8, block=8)])
    assert isinstance(outcome, Refusal)
    assert "relocation outside its section" in outcome.reason


def move_relocations(path: Path, distance: int) -> None:
    """Add `distance` to the place of the first relocation of each section of an object file."""
    data = bytearray(path.read_bytes())
    (headers,), (count,) = struct.unpack_from("<Q", data, 0x28), struct.unpack_from("<H", data, 0x3C)
    for header in range(headers, headers + 64 * count, 64):
        _, kind, _, _, first = struct.unpack_from("<IIQQQ", data, header)
        if kind == 4:  # SHT_RELA
            (place,) = struct.unpack_from("<Q", data, first)
            struct.pack_into("<Q", data, first, (place + distance) % 2**64)
    path.write_bytes(data)
