"""What a process listens with: a door that cannot be opened is named, a caller that vanished is given up."""

from __future__ import annotations

import socket

import pytest

from gateway import doors
from gateway.config_units import Listen


def test_a_door_that_cannot_be_opened_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=rf"127\.0\.0\.1:{port}: Address already in use"):
            doors.bind(Listen("127.0.0.1", port), b"", shared=False)


def test_a_caller_that_vanished_is_given_up_in_minutes() -> None:
    """A phone that changed networks often enough found its account at its limit, for half an hour each time."""
    entrance = doors.bind(Listen("127.0.0.1", 0), b"", shared=False)
    with entrance as bound:
        bound.listen()
        with socket.create_connection(bound.getsockname()), bound.accept()[0] as caller:
            assert caller.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            asked = [caller.getsockopt(socket.IPPROTO_TCP, option) for option, _ in doors.PROBES]
            assert asked[0] + asked[1] * asked[2] <= 600
