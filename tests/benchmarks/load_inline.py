"""KernelBench's way to build a kernel: torch's load_inline, each in a process of its own, some at a time."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time

from tests.benchmarks.simt_mix import cases

_INLINE = '''
import time, torch
from torch.utils.cpp_extension import load_inline
torch.zeros(1, device="cuda")
begin = time.perf_counter()
load_inline("{name}", cpp_sources="int ready();", cuda_sources=r"""{source}
int ready() {{ return 1; }}""", functions=["ready"], build_directory="{folder}")
print(time.perf_counter() - begin)
'''


def load_inline(at_a_time: int) -> tuple[dict[str, list[float]], float]:
    """Seconds of torch's load_inline for each kernel, so many at a time, and the wall-clock time of all."""
    queue = list(cases()) * max(1, at_a_time // 8)
    running: dict[str, tuple[subprocess.Popen[str], str]] = {}
    seconds: dict[str, list[float]] = {}
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        while queue or running:
            while queue and len(running) < at_a_time:
                case, name = queue.pop(0), f"build_{len(queue)}"
                os.makedirs(f"{folder}/{name}")
                code = _INLINE.format(
                    source=case.source.replace("\\", "\\\\"), name=name, folder=f"{folder}/{name}"
                )
                environment = {**os.environ, "TORCH_CUDA_ARCH_LIST": "9.0"}
                process = subprocess.Popen(
                    [sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True
                )
                running[name] = process, case.name
            for name, (process, kernel) in list(running.items()):
                if process.poll() is not None:
                    output = process.communicate()[0]
                    seconds.setdefault(kernel, []).append(float(output.split()[-1]))
                    del running[name]
            time.sleep(0.05)
    return seconds, time.monotonic() - begin
