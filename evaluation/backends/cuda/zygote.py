"""The process that GPU workers are forked from: it has imported what they need, and touched none of it.

Started by `evaluation.backends.cuda.process`, which confines it. A
context of CUDA does not survive a fork, so the zygote never makes one; a fork is warm within a fraction of a
second, where a new interpreter with torch would need seconds. It is told to fork and to kill, and reaps
whatever died. Only the zygote that measures imports torch.
"""

from __future__ import annotations

import gc
import os
import resource
import signal
import socket
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from evaluation.backends.cuda.channel import Channel, ChannelClosedError
from evaluation.backends.cuda.process import Job, Purpose

Serve = Callable[[Channel, int, Mapping[str, Any]], None]
_MAX_FILE_BYTES = 64 << 20
_PR_SET_PDEATHSIG = 1


def serve(channel: Channel, work: Serve) -> None:
    """Fork and kill as told, until the other end closes; then end every child."""
    children: set[int] = set()
    channel.send({"ready": os.getpid()})
    while True:
        try:
            message, descriptors = channel.receive_with_descriptors()
        except ChannelClosedError:
            break
        _reap(children)
        if message["do"] == "fork":
            pid = _fork(channel, work, message, descriptors)
            children.add(pid)
            for descriptor in descriptors:
                os.close(descriptor)
            channel.send({"pid": pid})
        elif message["pid"] in children:
            os.kill(message["pid"], signal.SIGKILL)
    for pid in children:
        os.kill(pid, signal.SIGKILL)


def _reap(children: set[int]) -> None:
    """Forget the children that have ended, so that no pid of a stranger is ever killed."""
    for pid in list(children):
        if os.waitpid(pid, os.WNOHANG)[0]:
            children.discard(pid)


def _fork(channel: Channel, work: Serve, message: dict, descriptors: list[int]) -> int:
    pid = os.fork()
    if pid:
        return pid
    channel.close()
    _become(work, message, descriptors)


def _become(work: Serve, message: dict, descriptors: list[int]) -> NoReturn:
    """Be a worker: bounded, mute, and gone with the zygote."""
    try:
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if message["job"] == Job.CHECK:
            resource.setrlimit(resource.RLIMIT_FSIZE, (_MAX_FILE_BYTES, _MAX_FILE_BYTES))
        null = os.open(os.devnull, os.O_RDWR)
        for target in (0, 1) if message["debug"] else (0, 1, 2):
            os.dup2(null, target)
        link, memory = descriptors
        work(Channel(socket.socket(fileno=link)), memory, message)
    except BaseException:
        if message["debug"]:
            import traceback

            traceback.print_exc()
        os._exit(1)
    os._exit(0)


def work_of(purpose: Purpose) -> Serve:
    """Import what the workers of a zygote need."""
    if purpose is Purpose.CHECK:
        from evaluation.backends.cuda import worker as cuda_worker

        return cuda_worker.main
    import torch

    from evaluation.timing import bench as cuda_timer

    torch.set_num_threads(1)
    return cuda_timer.main


def main(descriptor: str, purpose: str) -> None:
    """Serve on the inherited socket."""
    work = work_of(Purpose(purpose))
    gc.freeze()
    serve(Channel(socket.socket(fileno=int(descriptor))), work)
