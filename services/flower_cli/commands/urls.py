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
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    show_secrets: Annotated[
        bool, typer.Option("--show-secrets", help="With --json: passwords are not hidden.")
    ] = False,
) -> None:
    """Print the addresses of the stores in use, and of the API."""
    from flower_cli.addresses import address_lines, with_stores
    from flower_engine.embedded.home import Home
    from flower_engine.runtime import env_file
    from flower_engine.runtime.settings_loading import load_settings
    from flower_engine.secrets import hide_secrets

    settings = with_stores(load_settings(home=home))
    running = Home(settings.home).announced()
    addresses = {
        "redis_url": settings.redis_url,
        "database_url": settings.database_url,
        "api_url": running.api_url if running else None,
    }
    if as_json:
        text = json.dumps(addresses)
        out.print(text if show_secrets else hide_secrets(text), markup=False)
    else:
        out.print("\n".join([address_lines(addresses), *env_file.said()]), markup=False)
