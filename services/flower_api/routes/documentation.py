"""``/docs``: the description for people, with everything that the page loads from here.

A page that loads its script from elsewhere is blank for whoever is offline, and hands the API to whoever
serves that script.
"""

from importlib.resources import files
from pathlib import Path

from fastapi import FastAPI, Request
from starlette.responses import FileResponse, Response

from flower_api.problems import ProblemError

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Flower</title>
<link rel="stylesheet" href="docs/swagger-ui.css">
<link rel="icon" href="docs/favicon-32x32.png">
</head>
<body>
<noscript>This page needs JavaScript; <a href="openapi.json">openapi.json</a> says the same.</noscript>
<div id="swagger-ui"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"""
_START = """SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  tryItOutEnabled: true,
  validatorUrl: null,
});
"""
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
_KEEP = {**_HEADERS, "Cache-Control": "max-age=3600"}
_FILES = {
    "swagger-ui.css": "text/css",
    "swagger-ui-bundle.js": "text/javascript",
    "favicon-32x32.png": "image/png",
}


def add_documentation(app: FastAPI) -> None:
    """Adds the page and what it loads."""
    folder = Path(str(files("fastapi_swagger.resources")))

    async def get_page(_: Request) -> Response:
        return Response(_PAGE, media_type="text/html", headers=_HEADERS)

    async def get_start(_: Request) -> Response:
        return Response(_START, media_type="text/javascript", headers=_HEADERS)

    async def get_file(request: Request) -> Response:
        name: str = request.path_params["name"]
        if name not in _FILES:
            raise ProblemError(404, "not-found", "there is no such file; /docs lists what there is")
        return FileResponse(folder / name, media_type=_FILES[name], headers=_KEEP)

    app.add_route("/docs", get_page, include_in_schema=False)
    app.add_route("/docs/start.js", get_start, include_in_schema=False)
    app.add_route("/docs/{name}", get_file, include_in_schema=False)
