"""Health, readiness and metrics, on a port of their own."""

from __future__ import annotations

from collections.abc import Callable

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route


def probes(
    *, problems: Callable[[], list[str]], metrics: Callable[[], bytes], content_type: str
) -> Starlette:
    """Returns the application.

    `/healthz` asks for nothing but an answer: what else may fail (Git, a cluster, the home) is not
    mended by a restart, which would only throw away what has been seen so far.

    Args:
        problems: Returns why the daemon is not ready; nothing when it is.
        metrics: Returns all metrics.
        content_type: Of the metrics.
    """

    async def healthz(request: Request) -> Response:
        del request
        return PlainTextResponse("ok\n")

    async def readyz(request: Request) -> Response:
        del request
        found = problems()
        return PlainTextResponse("\n".join(found or ["ok"]) + "\n", 503 if found else 200)

    async def metrics_(request: Request) -> Response:
        del request
        return Response(metrics(), media_type=content_type)

    return Starlette(
        routes=[
            Route("/healthz", healthz),
            Route("/readyz", readyz),
            Route("/metrics", metrics_),
        ]
    )
