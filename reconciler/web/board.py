"""The read-only board: services by environments on one page, live by server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import orjson
from jinja2 import Environment, FileSystemLoader, select_autoescape
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response, StreamingResponse
from starlette.routing import Route

EVENTS_S = 1.0
"""How often a page is told of changes; people do not read faster."""

KEEP_ALIVE_S = 15.0
"""Proxies end streams that are silent for a minute."""

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline'; connect-src 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}

Status = Callable[[], dict[str, Any]]
Explain = Callable[[str], dict[str, Any]]


def board(status: Status, explain: Explain) -> Starlette:
    """Returns the application.

    Args:
        status: Returns the document of `reconciler status`.
        explain: Returns that of `reconciler explain` for a service.
    """
    templates = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=select_autoescape(default=True),
    )

    async def page(request: Request) -> Response:
        del request
        document = status()
        html = templates.get_template("board.html").render(**_rows(document), status=document)
        return HTMLResponse(html, headers=HEADERS)

    async def table(request: Request) -> Response:
        del request
        document = status()
        html = templates.get_template("table.html").render(**_rows(document), status=document)
        return HTMLResponse(html, headers=HEADERS)

    async def service(request: Request) -> Response:
        name = request.path_params["service"]
        document = explain(name)
        code = 200 if document["environments"] else 404
        html = templates.get_template("service.html").render(document=document)
        return HTMLResponse(html, headers=HEADERS, status_code=code)

    async def api(request: Request) -> Response:
        del request
        octets = orjson.dumps(status(), option=orjson.OPT_INDENT_2)
        return Response(octets, media_type="application/json", headers=HEADERS)

    async def events(request: Request) -> Response:
        stream = _events(status, request)
        return StreamingResponse(stream, media_type="text/event-stream", headers=HEADERS)

    return Starlette(
        routes=[
            Route("/", page),
            Route("/table", table),
            Route("/events", events),
            Route("/api/status", api),
            Route("/services/{service}", service),
        ]
    )


async def _events(status: Status, request: Request) -> AsyncIterator[bytes]:
    """Says "changed" whenever the document is another than before; the page then asks for it."""
    former, silent_s = b"", 0.0
    while not await request.is_disconnected():
        now = orjson.dumps(_without_times(status()))
        if now != former:
            former, silent_s = now, 0.0
            yield b"event: changed\ndata: {}\n\n"
        elif silent_s >= KEEP_ALIVE_S:
            silent_s = 0.0
            yield b": still here\n\n"
        await asyncio.sleep(EVENTS_S)
        silent_s += EVENTS_S


def _without_times(document: dict[str, Any]) -> dict[str, Any]:
    head = {k: v for k, v in document["head"].items() if k != "fetched_at"}
    return {**document, "head": head}


def _rows(document: dict[str, Any]) -> dict[str, Any]:
    """Returns services by environments, in the order in which they are promoted."""
    environments: list[str] = []
    services: dict[str, dict[str, Any]] = {}
    for cell in document["cells"]:
        if cell["environment"] not in environments:
            environments.append(cell["environment"])
        services.setdefault(cell["service"], {})[cell["environment"]] = cell
    return {"environments": environments, "services": services}
