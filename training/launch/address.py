"""Which of its addresses a machine is reached at by the others that train with it.

A machine's own name is no answer: on Debian and Ubuntu it resolves to 127.0.1.1.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct

from evaluation.errors import WarpsmithError

LOOPBACK = "127.0.0.1"
#: The interface that gloo talks through; set by hand, by `launcher.interface` or by us.
INTERFACE = "GLOO_SOCKET_IFNAME"
#: Where no packet is sent: only the route there is asked for.
_OUTSIDE = "192.0.2.1"
_PORT = 9
_SIOCGIFADDR = 0x8915
_NAME_BYTES = 15


def own_address(first_node: str) -> str:
    """This machine's IPv4 address: that of the interface in GLOO_SOCKET_IFNAME, or that from which the
    first node is reached.

    Raises:
        WarpsmithError: there is no such interface, or no route to the first node.
    """
    named = os.environ.get(INTERFACE, "").split(",")[0]
    if named:
        address = _address_of(named)
        if address is None:
            raise WarpsmithError(
                f"{INTERFACE} names {named}, which has no IPv4 address here; this machine has "
                f"{', '.join(name for _, name in socket.if_nameindex())}"
            )
        return address
    address = _source(first_node)
    if address.startswith("127.") and not first_node.startswith("127.") and first_node != "localhost":
        return _source(_OUTSIDE)  # on the first node, whose name resolves to its loopback
    return address


def interface_of(address: str) -> str | None:
    """The interface of this machine that has an IPv4 address."""
    names = [name for _, name in socket.if_nameindex()]
    return next((name for name in names if _address_of(name) == address), None)


def _source(destination: str) -> str:
    """The address from which this machine sends to another."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((destination, _PORT))
        except OSError as error:
            raise WarpsmithError(
                f"this machine cannot reach {destination} ({error.strerror or error}); correct "
                f"--master-addr, or name the interface in {INTERFACE}"
            ) from None
        return str(probe.getsockname()[0])


def _address_of(interface: str) -> str | None:
    request = struct.pack("256s", interface[:_NAME_BYTES].encode())
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            answer = fcntl.ioctl(probe.fileno(), _SIOCGIFADDR, request)
        except OSError:
            return None
    return socket.inet_ntoa(answer[20:24])
