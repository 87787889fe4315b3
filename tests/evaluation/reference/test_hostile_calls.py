"""What a reference program may ask of the system: to compute, to read what it was given, and nothing else."""

import pytest

from evaluation import confine
from evaluation.reference.pool import ProgramError

needs_landlock = pytest.mark.skipif(not confine.has_landlock(), reason="this kernel has no Landlock")

PROBE = """
import ctypes, errno, fcntl, os, signal, sys, torch
libc = ctypes.CDLL(None, use_errno=True)
nobody = os.getppid()
def call(number, *arguments):
    if libc.syscall(ctypes.c_long(number), *arguments) < 0:
        raise OSError(ctypes.get_errno(), "refused")
def get_inputs():
    return [torch.randn(4)]
def fused_operator(x):
    try:
        {statement}
    except OSError as error:
        if error.errno in (errno.EPERM, errno.EACCES, errno.ENOSYS):
            raise ValueError("it was refused")
        raise
    raise ValueError("it worked")
"""


def outcome(reference, statement):
    with pytest.raises(ProgramError) as caught:
        reference.describe(PROBE.format(statement=statement))
    return str(caught.value).removeprefix("the program does not run: ValueError: ")


@pytest.mark.parametrize(
    "statement",
    [
        # other processes
        "os.sched_setaffinity(nobody, {0})",
        "os.sched_setaffinity(0, {0})",
        "os.sched_getaffinity(nobody)",
        "os.sched_setscheduler(nobody, os.SCHED_IDLE, os.sched_param(0))",
        "os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))",
        "os.setpriority(os.PRIO_PROCESS, nobody, 19)",
        "os.nice(5)",
        "call(251, 1, nobody, 3 << 13)  # ioprio_set",
        "call(302, nobody, 7, None, ctypes.create_string_buffer(16))  # prlimit64",
        "call(312, os.getpid(), nobody, 0, 0, 0)  # kcmp",
        "call(424, 3, 0, None, 0)  # pidfd_send_signal",
        "call(434, nobody, 0)  # pidfd_open",
        "call(440, 3, None, 0, 4, 0)  # process_madvise",
        "os.getpgid(nobody)",
        # signals by way of descriptors and timers
        "fcntl.fcntl(0, fcntl.F_SETOWN, nobody)",
        "fcntl.fcntl(0, 10, 9)  # F_SETSIG",
        "fcntl.fcntl(0, 15, ctypes.create_string_buffer(8).raw)  # F_SETOWN_EX",
        "fcntl.fcntl(0, 1026, 0)  # F_NOTIFY",
        "fcntl.ioctl(0, 0x8901, b'1234')  # FIOSETOWN",
        "call(222, 1, None, ctypes.byref(ctypes.c_long()))  # timer_create",
        "signal.setitimer(signal.ITIMER_REAL, 1)",
        # the machine
        "call(159, ctypes.create_string_buffer(208))  # adjtimex",
        "call(305, 0, ctypes.create_string_buffer(208))  # clock_adjtime",
        "call(103, 3, ctypes.create_string_buffer(100), 100)  # syslog",
        "call(163, None)  # acct",
        "call(300, 0, 0)  # fanotify_init",
        "call(253)  # inotify_init",
        "call(179, 0, None, 0, None)  # quotactl",
        "call(135, 0xffffffff)  # personality",
        "call(151, 1)  # mlockall",
        "call(162)  # sync",
        "call(172, 3)  # iopl",
        "call(321, 0, None, 0)  # bpf",
        "call(298, None, 0, -1, -1, 0)  # perf_event_open",
        "call(319, b'x', 0)  # memfd_create",
        "call(425, 1, None)  # io_uring_setup",
        # users, limits, roots
        "os.setuid(0)",
        "call(126, None, None)  # capset",
        "os.chroot('/')",
        "call(272, 0x10000000)  # unshare",
        "call(157, 1, 0)  # prctl",
    ],
)  # fmt: skip
def test_a_call_that_concerns_others_is_refused(reference, statement):
    assert outcome(reference, statement) == "it was refused"


@needs_landlock
@pytest.mark.parametrize(
    "statement",
    [
        "os.stat('/etc/shadow')",
        "os.stat('/')",
        "os.stat('/proc/1')",
        "os.lstat('/etc/hostname')",
        "os.stat('../..')",
        "os.statvfs('/')",
        "call(332, -100, b'/etc/shadow', 0, 0xfff, ctypes.create_string_buffer(256))  # statx",
        "call(262, -100, b'/etc/shadow', ctypes.create_string_buffer(144), 0)  # newfstatat",
        "call(4, b'/etc/shadow', ctypes.create_string_buffer(144))  # stat",
        "call(21, b'/etc/shadow', 0)  # access",
        "os.open('/etc/shadow', os.O_PATH)",
        "os.listdir('/')",
        "os.readlink('/proc/1/exe')",
        "os.chdir('/')",
        "os.listxattr('/etc/shadow')",
        "call(303, -100, b'/etc', None, None, 0)  # name_to_handle_at",
        "os.chmod('/etc', 0o755)",
        "os.utime('/etc/hostname')",
    ],
)
def test_a_file_outside_cannot_be_looked_at(reference, statement):
    assert outcome(reference, statement) == "it was refused"


@pytest.mark.parametrize(
    "statement",
    [
        "import pydoc_data.topics, _codecs_jp  # one of text, one of machine code; neither is loaded yet",
        "assert os.stat(torch.__file__).st_size == len(open(torch.__file__, 'rb').read())",
        "assert os.path.isdir(os.path.dirname(torch.__file__)) and not os.path.exists(torch.__file__ + 'x')",
        "assert 'nn' in os.listdir(os.path.dirname(torch.__file__))",
        "b = bytearray(144); call(262, 0, b'/etc/shadow', (ctypes.c_char * 144).from_buffer(b), 0x1000); "
        "assert not any(b[48:56])  # the size is that of descriptor 0, whatever the path",
        "os.fstat(0), os.lseek(os.open(torch.__file__, os.O_RDONLY), 0, 1)",
        "import time; time.sleep(0.001), os.cpu_count(), os.getcwd(), os.urandom(8), time.time()",
    ],
)
def test_what_was_given_can_be_read(reference, statement):
    assert outcome(reference, statement) == "it worked"
