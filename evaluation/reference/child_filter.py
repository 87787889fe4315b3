"""The last lock on a forked child: no processes, threads, signals, limits, or files to write.

The launcher of `evaluation.confine` confines the whole reference worker; a child that runs a hostile program
needs less than the worker that forks it, so it gives up the rest by one more seccomp filter
(`native/confine/child.c`). Filters only ever add up: nothing that the launcher denied comes back.
"""

from __future__ import annotations

import ctypes
import os
import resource


def limit(cpu_seconds: int, memory_mb: int) -> None:
    """Bound this process: CPU seconds, address space, no files, no core dump."""
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds))
    resource.setrlimit(resource.RLIMIT_AS, (memory_mb << 20, memory_mb << 20))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def lock(library: ctypes.CDLL) -> None:
    """Install the filter of `library` on this process, for good, and have it die with its parent.

    Raises `OSError` where that is impossible, so that no program ever runs unlocked by accident.
    """
    error = library.lock()
    if error:
        raise OSError(error, f"the kernel refused the child's seccomp filter ({os.strerror(error)})")
