"""The HTTP API as an ASGI app."""

from importlib.metadata import version

from fastapi import FastAPI

from flower_register.bodies import StrictRoute
from flower_register.flows import add_flows
from flower_register.health import add_health
from flower_register.openapi import describe
from flower_register.problems import add_problem_handlers
from flower_register.registering import add_registering
from flower_register.stores import Stores
from flower_register.workflows import add_workflows


def create_app(stores: Stores) -> FastAPI:
    """The API on these stores; it does no I/O of its own before the first request."""
    app = FastAPI(
        title="Flower",
        version=version("flower-engine"),
        description="Define workflows, start flows of them, and see what became of every task.",
        redoc_url=None,
        redirect_slashes=False,
    )
    app.router.route_class = StrictRoute
    add_problem_handlers(app)
    add_registering(app, stores)
    add_flows(app, stores)
    add_workflows(app, stores)
    add_health(app, stores)
    describe(app)
    return app
