"""``/metrics``: for a monitoring system that reads what Prometheus reads."""

from typing import Any

from fastapi import FastAPI
from starlette.responses import Response

from flower_api.api_metrics import ApiMetrics
from flower_api.openapi import replies

_TEXT: dict[str, Any] = {"text/plain": {"schema": {"type": "string"}}}


def add_metrics(app: FastAPI, metrics: ApiMetrics) -> None:
    """Adds the route."""

    @app.get(
        "/metrics",
        summary="Numbers for monitoring",
        responses={
            **replies({}, problems=()),
            200: {"description": "In the text format of Prometheus", "content": _TEXT},
        },
        response_class=Response,
    )
    async def get_metrics() -> Response:
        """How the whole engine stands, and what this process of the API answered since it began. A store that
        is away is told as such."""
        answer = await metrics.page()
        return Response(answer.body, answer.status, media_type=answer.content_type)
