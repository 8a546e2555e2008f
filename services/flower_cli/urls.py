"""``flower urls``: the addresses of what runs."""

import json
from typing import Annotated

import typer

from flower_cli.console import out
from flower_cli.options import HomeOption


def add_to(app: typer.Typer) -> None:
    app.command()(urls)


def urls(
    home: HomeOption = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="For programs; passwords are not hidden then.")
    ] = False,
) -> None:
    """Print the addresses of the stores in use, and of the API."""
    from flower_cli.addresses import address_lines, with_stores
    from flower_engine.embedded.home import Home
    from flower_engine.runtime.settings import load_settings

    settings = with_stores(load_settings(home=home))
    running = Home(settings.home).announced()
    addresses = {
        "redis_url": settings.redis_url,
        "database_url": settings.database_url,
        "api_url": running.api_url if running else None,
    }
    if as_json:
        out.print(json.dumps(addresses), markup=False)
    else:
        out.print(address_lines(addresses), markup=False)
