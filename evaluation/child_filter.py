"""The last lock on a forked child: no processes, threads, signals, limits, or files to write.

The launcher of `evaluation.confine` confines the whole reference worker; a child that runs a
hostile program needs less than the worker that forks it, so it gives up the rest by one more
seccomp filter. Filters only ever add up: nothing that the launcher denied comes back.
"""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import struct

_MACHINE = "x86_64"
#: System calls of x86-64 that a child has no use for; each fails with EPERM.
_DENIED: dict[str, tuple[int, ...]] = {
    "clone, fork, vfork, clone3, execve, execveat, setsid, setpgid": (56, 57, 58, 435, 59, 322, 112, 109),
    "kill, tkill, tgkill, ptrace, process_vm_*": (62, 200, 234, 101, 310, 311),
    "pidfd_send_signal, pidfd_open, pidfd_getfd, io_uring_setup": (424, 434, 438, 425),
    "setrlimit, prlimit64, prctl, seccomp": (160, 302, 157, 317),
    "socket, socketpair, connect, bind, sendto, sendmsg": (41, 53, 42, 49, 44, 46),
    "open, creat, openat2, truncate": (2, 85, 437, 76),
    "rename*, mkdir*, rmdir, link*, unlink*, symlink*, mknod*": (
        82, 264, 316, 83, 258, 84, 86, 265, 87, 263, 88, 266, 133, 259,
    ),
    "chmod*, chown*": (90, 91, 268, 452, 92, 93, 94, 260),
    "utime*, setxattr*, removexattr*": (132, 235, 261, 280, 188, 189, 190, 197, 198, 199),
    "shmget, semget, msgget, mq_open, memfd_create": (29, 64, 68, 240, 319),
}  # fmt: skip
_OPENAT = 257
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC

_LOAD, _JUMP_EQUAL, _JUMP_AT_LEAST, _JUMP_ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06  # BPF instructions
_NUMBER, _ARCHITECTURE, _FLAGS = 0, 4, 32  # offsets in seccomp_data; the third argument of openat, low half
_AUDIT_ARCH_X86_64 = 0xC000003E
_FIRST_X32_CALL = 0x40000000
_ALLOW, _DENY, _KILL = 0x7FFF0000, 0x00050001, 0x80000000  # ALLOW, ERRNO | EPERM, KILL_PROCESS
_PR_SET_PDEATHSIG, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 1, 22, 38
_SECCOMP_MODE_FILTER = 2


def limit(cpu_seconds: int, memory_mb: int) -> None:
    """Bound this process: CPU seconds, address space, no files, no core dump."""
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds))
    resource.setrlimit(resource.RLIMIT_AS, (memory_mb << 20, memory_mb << 20))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def lock() -> None:
    """Install the filter on this process, for good, and have it die with its parent.

    Raises `OSError` where that is impossible, so that no program ever runs unlocked by accident.
    """
    if platform.machine() != _MACHINE:
        raise OSError(f"the reference worker needs Linux on {_MACHINE}, not {platform.machine()}")
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_PDEATHSIG, 9, 0, 0, 0)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    code = b"".join(struct.pack("HBBI", *instruction) for instruction in _instructions())
    buffer = ctypes.create_string_buffer(code, len(code))
    header = struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(buffer))
    if libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.create_string_buffer(header), 0, 0):
        raise OSError(ctypes.get_errno(), "the kernel refused the child's seccomp filter")


def _instructions() -> list[tuple[int, int, int, int]]:
    """The filter as BPF: (code, jump if true, jump if false, operand)."""
    program = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_JUMP_EQUAL, 1, 0, _AUDIT_ARCH_X86_64),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
        (_JUMP_AT_LEAST, 0, 1, _FIRST_X32_CALL),  # aliases that would slip past the list
        (_RETURN, 0, 0, _KILL),
    ]
    for numbers in _DENIED.values():
        for number in numbers:
            program += [(_JUMP_EQUAL, 0, 1, number), (_RETURN, 0, 0, _DENY)]
    return [
        *program,
        (_JUMP_EQUAL, 0, 3, _OPENAT),
        (_LOAD, 0, 0, _FLAGS),
        (_JUMP_ANY_BIT, 0, 1, _WRITING),
        (_RETURN, 0, 0, _DENY),
        (_RETURN, 0, 0, _ALLOW),
    ]
