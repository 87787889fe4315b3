"""Ports for servers of ours."""

import socket

from training.launch.ports import free_port, is_free


def test_a_free_port_can_be_listened_at_and_is_none_for_outgoing_connections():
    port = free_port()
    assert port < 32_768  # where Linux begins to take ports for outgoing connections
    with socket.create_server(("127.0.0.1", port)):
        assert not is_free(port)
