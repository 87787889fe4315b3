"""Ports for servers that take a while to start."""

from __future__ import annotations

import secrets
import socket

#: Below those that Linux gives to outgoing connections, one of which could take it meanwhile.
_PORTS = range(20_000, 32_000)


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether nothing listens at a port of this machine's address `host`."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def free_port(host: str = "127.0.0.1") -> int:
    """A port at which nothing listens yet."""
    while not is_free(port := _PORTS.start + secrets.randbelow(len(_PORTS)), host):
        pass
    return port
