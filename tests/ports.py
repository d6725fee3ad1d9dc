"""Ports for what has to be told its port before it listens."""

from __future__ import annotations

import itertools
import os
import random
import socket

FIRST, EACH, WORKERS_MAX = 20_000, 1_000, 12
"""Below what Linux and macOS give out by themselves: there, between the choice and its use, any connection
of any test may get the same number."""


def _slice() -> range:
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    first = FIRST + worker % WORKERS_MAX * EACH
    return range(first, first + EACH)


# Another run on the same machine begins elsewhere.
_numbers = itertools.cycle(_slice())
for _ in range(random.randrange(EACH)):
    next(_numbers)


def free_port() -> int:
    """Returns a port of the loopback that nobody listens on, and that no other test is given for long."""
    for port in itertools.islice(_numbers, EACH):
        with socket.socket() as probe:
            # As servers do: a port whose last connection is just over is free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError(f"no port from {FIRST} on is free")
