"""``/`` and ``/ui``: the dashboard's page and what it loads, all of it from here."""

import re
from pathlib import Path

from fastapi import FastAPI, Request
from starlette.responses import FileResponse, HTMLResponse, Response

from flower_api.problems import ProblemError

BUNDLE = Path(__file__).parents[1] / "dashboard_bundle"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}[.](?:js|css|svg|txt)")
_KINDS = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".txt": "text/plain"}
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self';"
        " frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_ANEW = {**_HEADERS, "Cache-Control": "no-cache"}
_FOR_EVER = {**_HEADERS, "Cache-Control": "public, max-age=31536000, immutable"}  # the name has a hash
_HASHED = re.compile(r"-[A-Z0-9]{8}[.]")
_MISSING = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><title>Flower</title></head>
<body>
<h1>Flower runs; its dashboard is not built yet</h1>
<p>This Flower was installed from a checkout, where the dashboard's files are made by</p>
<pre>python dashboard/bundle.py</pre>
<p>(<code>make run</code> does it, too) and shown here as soon as they are there. It takes npm, or
pip to fetch it. A Flower that was installed from a wheel has them.</p>
<p>Everything can be done without: <a href="docs">the HTTP API</a>, and <code>flower --help</code>.</p>
</body>
</html>
"""


def add_dashboard(app: FastAPI) -> None:
    """Adds the page and its files. They are looked for when they are asked for, as they may come later."""

    async def get_page(request: Request) -> Response:
        if not (BUNDLE / "index.html").is_file():
            return HTMLResponse(_MISSING, 503, headers=_ANEW)
        return _file(request, "index.html", "text/html", _ANEW)

    async def get_file(request: Request) -> Response:
        name: str = request.path_params["name"]
        if not _NAME.fullmatch(name) or not (BUNDLE / name).is_file():
            raise ProblemError(404, "not-found", "the dashboard has no such file")
        headers = _FOR_EVER if _HASHED.search(name) else _ANEW
        return _file(request, name, _KINDS[Path(name).suffix], headers)

    app.add_route("/", get_page, include_in_schema=False)
    app.add_route("/ui/{name}", get_file, include_in_schema=False)


def _file(request: Request, name: str, kind: str, headers: dict[str, str]) -> Response:
    headers = {**headers, "Vary": "Accept-Encoding"}
    if _takes_gzip(request.headers.get("accept-encoding", "")) and (BUNDLE / f"{name}.gz").is_file():
        headers, name = {**headers, "Content-Encoding": "gzip"}, f"{name}.gz"
    return FileResponse(BUNDLE / name, media_type=kind, headers=headers)


def _takes_gzip(header: str) -> bool:
    for part in header.lower().split(","):
        coding, _, weight = part.partition(";")
        if coding.strip() == "gzip":
            return not re.fullmatch(r"\s*q=0([.]0*)?\s*", weight)
    return False
