"""Runs a candidate once, from files, for a tool that watches the process: `evaluation.report.sanitize`.

`python -m evaluation.backends.cuda.once FOLDER`: the folder holds `module.cubin`, `job.json` and one `.bin`
for every input. Outputs are not looked at.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pycuda.driver as cuda

from evaluation.backends.cuda.device import Device


def main(folder: Path) -> None:
    """Allocate, copy the inputs, launch everything in order, and wait."""
    device = Device(0)
    job = json.loads((folder / "job.json").read_text())
    module = device.load((folder / "module.cubin").read_bytes(), job["kernels"])
    buffers = {name: cuda.mem_alloc(max(size, 1)) for name, size in job["buffers"].items()}
    for name, memory in buffers.items():
        content = folder / f"{name}.bin"
        if content.exists() and content.stat().st_size:
            cuda.memcpy_htod(memory, np.fromfile(content, dtype=np.uint8))
    for launch in job["launches"]:
        arguments = [int(buffers[x]) if kind == "buffer" else x for kind, x in launch["arguments"]]
        module.bind(launch, arguments)(device.stream)
    device.stream.synchronize()
    for memory in buffers.values():
        memory.free()
    device.context.pop()  # PyCUDA ends the process by a signal otherwise


if __name__ == "__main__":
    main(Path(sys.argv[1]))
