"""Serve an application in a thread until it is told to stop."""

from __future__ import annotations

import socket
import threading
import time
from types import TracebackType

import uvicorn
from starlette.applications import Starlette

from reconciler.errors import InvalidInput

START_S_MAX = 10.0
STOP_S_MAX = 5.0
STREAMS_S_MAX = 3
"""A stream looks once a second whether it is to end (`state.is_ending`); what does not is cut off then."""


class Served:
    """One application at one address.

    Args:
        application: What is served.
        address: `host:port`; port 0 takes a free one.

    Raises:
        InvalidInput: The address is none, or is taken.
    """

    def __init__(self, application: Starlette, address: str) -> None:
        self._socket = _bound(address)
        config = uvicorn.Config(
            application,
            log_config=None,
            lifespan="off",
            timeout_graceful_shutdown=STREAMS_S_MAX,
        )
        self._server = uvicorn.Server(config)
        application.state.is_ending = lambda: self._server.should_exit
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, daemon=True
        )

    @property
    def url(self) -> str:
        """The address that was taken."""
        host, port = self._socket.getsockname()[:2]
        return f"http://{host}:{port}"

    def __enter__(self) -> Served:
        self._thread.start()
        until = time.monotonic() + START_S_MAX
        while not self._server.started and time.monotonic() < until and self._thread.is_alive():
            time.sleep(0.01)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.should_exit = True
        self._thread.join(STOP_S_MAX)
        self._socket.close()


def _bound(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65_535:
        raise InvalidInput(address, "it is no address", "it must be host:port", "correct it")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host.strip("[]"), int(port)))
    except OSError as error:
        bound.close()
        why = error.strerror or type(error).__name__
        raise InvalidInput(
            address, "it cannot be listened at", why, "choose another by --listen"
        ) from error
    return bound
