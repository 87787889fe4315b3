"""Two hosts with addresses of their own: network namespaces of this machine, joined by a cable (veth)."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

ADDRESSES = ("10.77.0.1", "10.77.0.2")
_NAMES = ("wsa", "wsb")


def missing() -> str | None:
    """Why there can be none here, if so."""
    if shutil.which("ip") is None:
        return "needs `ip`: apt-get install iproute2"
    try:
        with hosts():
            return None
    except subprocess.CalledProcessError:
        return "needs the right to make network namespaces"


@contextmanager
def hosts() -> Iterator[list[list[str]]]:
    """What stands before a command so that it runs on one or the other, while the block runs."""
    names = [f"{name}{os.getpid()}" for name in _NAMES]
    try:
        for name in names:
            _ip("netns", "add", name)
        _ip("link", "add", names[0], "netns", names[0], "type", "veth", "peer", names[1], "netns", names[1])
        for name, address in zip(names, ADDRESSES, strict=True):
            _ip("-n", name, "addr", "add", f"{address}/24", "dev", name)
            _ip("-n", name, "link", "set", name, "up")
            _ip("-n", name, "link", "set", "lo", "up")
        yield [["ip", "netns", "exec", name] for name in names]
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "delete", name], capture_output=True)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)
