"""Keeping freed memory in the process, for workers that do the same work over and over.

By default glibc gives large blocks back to the kernel at once and takes them anew, page by page, for the
next task. In a virtual machine each of those pages is expensive: NVRTC takes 1 600 page faults a source
without this and 4 with it, and half the time.
"""

from __future__ import annotations

import ctypes
import sys

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3
_HUGE = 1 << 30
_PAD = 64 << 20


def keep_freed_memory() -> None:
    """Make `free` keep what it gets, and grow the heap in large steps; does nothing without glibc."""
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for option, value in ((_MMAP_THRESHOLD, _HUGE), (_TRIM_THRESHOLD, _HUGE), (_TOP_PAD, _PAD)):
            mallopt(option, value)
