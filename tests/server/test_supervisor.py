"""What a supervisor does without its processes: cores are dealt out, a port is held."""

from __future__ import annotations

import socket

import pytest

from vecstore.errors import IoFailed
from vecstore.server.cores import shares
from vecstore.server.supervisor import hold_port


@pytest.mark.parametrize(
    ("cores", "readers", "expected"),
    [
        ([0, 1], 2, [(0,), (1,)]),
        ([3, 5, 7], 2, [(3,), (5, 7)]),
        ([0, 1, 2, 3, 4, 5, 6, 7], 3, [(0, 1), (2, 3, 4), (5, 6, 7)]),
        ([4], 3, [(4,), (4,), (4,)]),
        ([0, 1], 3, [(0,), (1,), (0,)]),
    ],
)
def test_shares_of_cores(cores: list[int], readers: int, expected: list[tuple[int, ...]]) -> None:
    assert shares(cores, readers) == expected


def test_a_held_port_is_free_again_at_once() -> None:
    held = hold_port("127.0.0.1", 0)
    port = held[0].getsockname()[1]
    with pytest.raises(IoFailed):
        hold_port("127.0.0.1", port)
    with socket.socket() as member:
        member.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        member.bind(("127.0.0.1", port))
        member.listen()
    for held_socket in held:
        held_socket.close()
    hold_port("127.0.0.1", port)[0].close()
