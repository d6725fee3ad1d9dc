"""The read-only board: services by environments on one page, live by server-sent events."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import orjson
from jinja2 import Environment, FileSystemLoader, select_autoescape
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response, StreamingResponse
from starlette.routing import Route

from reconciler.web import showing

EVENTS_S = 1.0
"""How often a page is told of changes; people do not read faster."""

KEEP_ALIVE_S = 15.0
"""Proxies end streams that are silent for a minute."""

STREAMS_MAX = 100
"""Pages open at once; each holds a connection and looks once a second."""

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; "
    "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}

_TEMPLATES = Path(__file__).parent / "templates"
_ASSETS = {"board.css": "text/css", "board.js": "text/javascript"}
_HINTS = {
    404: ("there is no such page", "The board has one page, and one for each service."),
    405: ("this can only be read", "Whatever should change is asked for by a commit."),
    503: ("too many pages are open", "Close some, or reload this one in a while."),
}

Status = Callable[[], dict[str, Any]]
Explain = Callable[[str], dict[str, Any]]


def board(status: Status, explain: Explain, seen: Callable[[], object]) -> Starlette:
    """Returns the application.

    Args:
        status: Returns the document of `reconciler status`.
        explain: Returns that of `reconciler explain` for a service.
        seen: Returns what a turn has seen; another object after each turn.
    """
    pages = _Pages()
    news = _News(status, seen)

    async def page(request: Request) -> Response:
        del request
        return pages.whole(
            "table.html", "/table", **showing.board_rows(status(), datetime.now(UTC))
        )

    async def table(request: Request) -> Response:
        del request
        return pages.part("table.html", **showing.board_rows(status(), datetime.now(UTC)))

    async def service(request: Request) -> Response:
        return pages.whole("service.html", f"{request.url.path}/part", **_explained(request))

    async def service_part(request: Request) -> Response:
        return pages.part("service.html", **_explained(request))

    def _explained(request: Request) -> dict[str, Any]:
        document = explain(request.path_params["service"])
        if not document["environments"]:
            raise HTTPException(404)
        rows = sorted(document["environments"], key=lambda row: int(row["step"]))
        title = f"{document['service']} · reconciler"
        return {"document": document, "environments": rows, "title": title}

    async def api(request: Request) -> Response:
        del request
        octets = orjson.dumps(status(), option=orjson.OPT_INDENT_2)
        return Response(octets, media_type="application/json", headers=HEADERS)

    async def events(request: Request) -> Response:
        if news.streams >= STREAMS_MAX:
            raise HTTPException(503)
        return StreamingResponse(
            news.stream(request), media_type="text/event-stream", headers=HEADERS
        )

    return Starlette(
        routes=[
            Route("/", page),
            Route("/table", table),
            Route("/events", events),
            Route("/api/status", api),
            Route("/services/{service}", service),
            Route("/services/{service}/part", service_part),
            *(Route(f"/{name}", partial(_asset, name)) for name in _ASSETS),
        ],
        exception_handlers={HTTPException: pages.failed, Exception: pages.failed},
    )


async def _asset(name: str, request: Request) -> Response:
    del request
    octets = (_TEMPLATES / name).read_bytes()
    return Response(octets, media_type=_ASSETS[name], headers=HEADERS)


class _Pages:
    """The templates, filled in."""

    def __init__(self) -> None:
        self._templates = Environment(
            loader=FileSystemLoader(_TEMPLATES), autoescape=select_autoescape(default=True)
        )
        for name in ("tone", "sign", "cluster_tone", "cluster_words"):
            self._templates.filters[name] = getattr(showing, name)
        self._templates.filters["ago"] = lambda at: showing.ago(at, datetime.now(UTC))

    def whole(self, inner: str, part: str, *, status_code: int = 200, **values: Any) -> Response:
        """Returns a page that asks for a part of itself again as things change."""
        html = self._templates.get_template("page.html").render(inner=inner, part=part, **values)
        return HTMLResponse(html, headers=HEADERS, status_code=status_code)

    def part(self, inner: str, **values: Any) -> Response:
        """Returns what changes of a page."""
        html = self._templates.get_template(inner).render(**values)
        return HTMLResponse(html, headers=HEADERS)

    async def failed(self, request: Request, error: Exception) -> Response:
        """Returns the page for what is not there, or is our bug."""
        del request
        code = error.status_code if isinstance(error, HTTPException) else 500
        words, hint = _HINTS.get(code, ("something went wrong", "The daemon's log says what."))
        return self.whole(
            "missing.html", "", status_code=code, code=code, words=words, hint=hint, title=str(code)
        )


class _News:
    """Tells open pages that something changed; what nobody has seen anew is not looked at again."""

    def __init__(self, status: Status, seen: Callable[[], object]) -> None:
        self._status = status
        self._seen = seen
        self._looked_at: object = object()
        self._digest = b""
        self.streams = 0

    def digest(self) -> bytes:
        """Returns a digest of what the pages show, made once a turn however many pages are open."""
        seen = self._seen()
        if seen is not self._looked_at:
            document = self._status()
            head = {k: v for k, v in document["head"].items() if k != "fetched_at"}
            self._digest = hashlib.sha256(orjson.dumps({**document, "head": head})).digest()
            self._looked_at = seen
        return self._digest

    async def stream(self, request: Request) -> AsyncIterator[bytes]:
        """Yields "changed" whenever the digest is another than before; the page then asks anew."""
        former, silent_s = b"", 0.0
        self.streams += 1
        try:
            # Only a served one ends; the page asks for another stream by itself.
            is_ending = getattr(request.app.state, "is_ending", lambda: False)
            while not is_ending() and not await request.is_disconnected():
                now = self.digest()
                if now != former:
                    former, silent_s = now, 0.0
                    yield b"event: changed\ndata: {}\n\n"
                elif silent_s >= KEEP_ALIVE_S:
                    silent_s = 0.0
                    yield b": still here\n\n"
                await asyncio.sleep(EVENTS_S)
                silent_s += EVENTS_S
        finally:
            self.streams -= 1
