"""Messages over a Unix socket: JSON and one blob of bytes each way, with a deadline.

The other end may be controlled by a candidate, so nothing that arrives is unpickled, and a message larger
than MAX_BYTES ends the conversation.
"""

from __future__ import annotations

import json
import select
import socket
import struct
import time
from collections.abc import Mapping, Sequence
from typing import Any

_HEADER = struct.Struct("<II")
MAX_BYTES = 64 << 20
"""Largest JSON part and largest blob, in bytes."""
MAX_DESCRIPTORS = 4


class ChannelClosedError(Exception):
    """The other end is gone, or sent what no sound process sends."""


def is_readable(descriptor: int, timeout_s: float) -> bool:
    """Whether something, or the end, has arrived within `timeout_s`."""
    poll = select.poll()  # select() refuses descriptors from 1024 on
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(1000 * timeout_s))


class Channel:
    """One end of a conversation."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection

    @classmethod
    def pair(cls) -> tuple[Channel, socket.socket]:
        """This end, and the socket to hand to another process."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        return cls(ours), theirs

    def send(
        self, message: Mapping[str, Any], blob: bytes | memoryview = b"", descriptors: Sequence[int] = ()
    ) -> None:
        """Send one message; file descriptors travel beside it."""
        text = json.dumps(message).encode()
        header = _HEADER.pack(len(text), len(blob))
        try:
            self._socket.settimeout(None)
            if descriptors:
                socket.send_fds(self._socket, [header], list(descriptors))
                self._socket.sendall(text + bytes(blob))
            else:
                self._socket.sendall(header + text + bytes(blob))
        except OSError as error:
            raise ChannelClosedError(str(error)) from None

    def receive(self, timeout_s: float | None = None) -> tuple[dict[str, Any], bytes]:
        """The next message and its blob.

        Raises:
            TimeoutError: if it is not complete in time.
            ChannelClosedError: if the other end is gone or breaks the protocol.
        """
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        return self._body(self._exactly(_HEADER.size, deadline), deadline)

    def wait(self, timeout_s: float) -> bool:
        """Wait until something has arrived or the other end is gone; `False` if neither is in time."""
        return is_readable(self._socket.fileno(), timeout_s)

    def receive_with_descriptors(self) -> tuple[dict[str, Any], list[int]]:
        """The next message with the file descriptors that came beside it; only for a trusted other end."""
        self._socket.settimeout(None)
        try:
            header, descriptors, _, _ = socket.recv_fds(self._socket, _HEADER.size, MAX_DESCRIPTORS)
        except OSError as error:
            raise ChannelClosedError(str(error)) from None
        if not header:
            raise ChannelClosedError("closed")
        header += self._exactly(_HEADER.size - len(header), None)
        return self._body(header, None)[0], descriptors

    def close(self) -> None:
        """Close this end; the other sees it."""
        self._socket.close()

    def _body(self, header: bytes, deadline: float | None) -> tuple[dict[str, Any], bytes]:
        text_size, blob_size = _HEADER.unpack(header)
        if max(text_size, blob_size) > MAX_BYTES:
            raise ChannelClosedError(f"a message of {max(text_size, blob_size)} bytes is too large")
        try:
            message = json.loads(self._exactly(text_size, deadline))
        except (ValueError, RecursionError):
            raise ChannelClosedError("a message is no JSON") from None
        if not isinstance(message, dict):
            raise ChannelClosedError("a message is no JSON object")
        return message, self._exactly(blob_size, deadline)

    def _exactly(self, size: int, deadline: float | None) -> bytes:
        data = bytearray()
        while len(data) < size:
            try:
                self._socket.settimeout(_remaining(deadline))
                chunk = self._socket.recv(min(size - len(data), 1 << 20))
            except TimeoutError:
                raise
            except OSError as error:
                raise ChannelClosedError(str(error)) from None
            if not chunk:
                raise ChannelClosedError("closed")
            data += chunk
        return bytes(data)


def _remaining(deadline: float | None) -> float | None:
    """Seconds until `deadline`; raises `TimeoutError` when there are none."""
    if deadline is None:
        return None
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
