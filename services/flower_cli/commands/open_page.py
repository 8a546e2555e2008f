"""``flower open``: the dashboard, in a browser."""

from typing import Annotated

import typer

from flower_cli.commands.api_client import connected
from flower_cli.commands.api_options import UrlOption
from flower_cli.commands.flow_names import flow_id
from flower_cli.console import out


def add_to(app: typer.Typer) -> None:
    app.command("open")(open_page)


def open_page(
    flow: Annotated[
        str | None, typer.Argument(metavar="[FLOW]", help="A flow: its id, how that begins, or last")
    ] = None,
    url: UrlOption = None,
    print_only: Annotated[bool, typer.Option("--print", help="Only print the address.")] = False,
) -> None:
    """Open the dashboard in a browser, at all flows or at one; prints its address, too."""
    import webbrowser

    with connected(url) as api:
        address = f"{api.url.rstrip('/')}/"
        if flow is not None:
            address += f"#/flows/{flow_id(api, flow)}"
        else:
            api.get("/healthz")  # an address at which nobody answers is no help
    out.print(address, markup=False, highlight=False, soft_wrap=True)
    if not print_only:
        webbrowser.open(address)  # where there is no browser, the address is what there is to have
