"""Ports for servers and proxies of a test's own.

They lie between the stack's own ports and those of the next stack, below the ports that Linux gives to outgoing connections:
a port that was free a moment ago is then taken by nobody else.
"""

from __future__ import annotations

import itertools
import socket

from tests.integration.support import services

_FIRST, _LAST = 100, 499

_turn = itertools.count()


def free_ports(count: int) -> list[int]:
    """Ports on which nothing listens; the next call gives others."""
    base, found = services.stack().base_port, []
    for _ in range(_LAST - _FIRST + 1):
        port = base + _FIRST + next(_turn) % (_LAST - _FIRST + 1)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                found.append(port)
        if len(found) == count:
            return found
    raise RuntimeError(f"no {count} free ports between {base + _FIRST} and {base + _LAST}")


def free_port() -> int:
    """A port on which nothing listens."""
    return free_ports(1)[0]
