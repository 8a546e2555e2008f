"""Fixtures that every test may use: one private Valkey and Postgres for the whole session."""

import gc
import logging
import os
import sys
import tempfile
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import ModuleType

import psycopg
import pytest
from dotenv import dotenv_values

import copied_runs
import forked_flower
import fuzzing
import stalls
from databases import EMPTY, ReusedDatabase, fresh_database
from flower_engine.embedded.home import Home
from flower_engine.embedded.postgres import EmbeddedPostgres
from flower_engine.embedded.valkey import EmbeddedValkey
from flower_engine.log.client import connect_blocking, send_blocking
from interrupts import heed_interrupts
from memory_folder import memory_folder
from own_secrets import own_secrets
from prepared_postgres import make_tables, prepare_ahead, prepare_postgres

gc.disable()  # while tests are collected, and looks at far less from then on: see pytest_collection_finish

# Processes that tests start read the .env of the folder, too, and what is set to nothing wins over it.
_OF_ENV_FILE = {name: "" for name in dotenv_values(".env") if name.startswith("FLOWER_")}
os.environ.update(_OF_ENV_FILE)

heed_interrupts()


_WITHOUT_POSTGRES = {
    *("test_cached_definitions", "test_connections", "test_health", "test_service", "test_stalled_postgres"),
}
"""Modules in which Postgres is away, stands still, or has no connection left."""
_PATIENCE = {
    "flower_engine.flows.postgres_stores": ("_WAIT_SECONDS",),
    "flower_engine.flows.definition_checks": ("_PATIENCE_SECONDS",),
    "flower_engine.flows.unknown_names": ("_PATIENCE_SECONDS",),
    "flower_engine.flows.live_programs": ("_RECORDS_SECONDS",),
    "flower_api.seen_positions": ("_PATIENCE_SECONDS",),
    "flower_api.routes.top": ("_PATIENCE_SECONDS",),
    "flower_api.routes.scaling": ("_POSTGRES_SECONDS",),
}
_ALWAYS = {"flower_api.routes.health": ("_PATIENCE_SECONDS", "_PART_SECONDS")}


@pytest.fixture(autouse=True)
def _nothing_from_outside(request: pytest.FixtureRequest) -> Iterator[None]:
    """What the person who runs the tests has set, and what the test before did, must not change a test. One
    fixture does all of it: four, and a ``monkeypatch``, cost a fifth of what a small test takes."""
    with ExitStack() as stack:
        for around in (_no_settings, own_secrets, _own_logging):
            stack.enter_context(around())
        stack.enter_context(_patient_requests(request.path.stem))
        yield


@contextmanager
def _no_settings() -> Generator[None]:
    given = {name: os.environ[name] for name in os.environ if name.startswith("FLOWER_")}
    for name in given.keys() - _OF_ENV_FILE.keys():
        del os.environ[name]
    yield
    os.environ.update(given)


@contextmanager
def _patient_requests(module_of_test: str) -> Generator[None]:
    """A request waits for a connection as long as a busy machine takes to make one, and is not refused after
    two seconds, as one is that does better to try again; nor does an answer come without what it names, or
    say that a store is away which is slow."""
    wanted = _ALWAYS if module_of_test in _WITHOUT_POSTGRES else _ALWAYS | _PATIENCE
    before: list[tuple[ModuleType, str, float]] = []
    for module, names in wanted.items():
        if found := sys.modules.get(module):  # else nothing here serves requests
            before += [(found, name, getattr(found, name)) for name in names]
    for module, name, _ in before:
        setattr(module, name, 30.0)
    yield
    for module, name, seconds in before:
        setattr(module, name, seconds)


@contextmanager
def _own_logging() -> Generator[None]:
    """A service that a test runs in its own process sets logging up on a stream that ends with the test: the
    next test's programs would write into a closed one, and find that in their own output."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    if root.level != level:
        root.setLevel(level)  # which forgets what all loggers have found of their levels


@pytest.fixture(scope="session")
def stores_home() -> Iterator[Home]:
    """The throwaway data folder of the session's stores."""
    made = tempfile.TemporaryDirectory(prefix="flower-tests-", dir=memory_folder())
    with made as folder, Home(Path(folder)) as home:
        yield home


@pytest.fixture(scope="session")
def valkey_url(stores_home: Home) -> Iterator[str]:
    """The session's Valkey, its database 0; or a server of ``make test-matrix``. Most tests want
    ``redis_url``."""
    if given := _given("TEST_REDIS_URLS"):
        yield given
        return
    valkey = EmbeddedValkey(stores_home, durable=False)
    yield valkey.start()
    why = valkey.why_ended() if valkey.has_ended() else ""  # else nobody would see its log
    valkey.stop()
    assert not why, why


@pytest.fixture(scope="session")
def postgres_url(stores_home: Home) -> Iterator[str]:
    """The session's Postgres, its database ``flower``; or a server of ``make test-matrix``. Most tests want
    ``database_url``."""
    if given := _given("TEST_DATABASE_URLS"):
        yield given
        return
    prepare_postgres(stores_home)
    postgres = EmbeddedPostgres(stores_home, durable=False)
    yield postgres.start()
    postgres.stop()


def _given(variable: str) -> str:
    """The server that this process of a parallel run is to use; "": none was given."""
    urls = os.environ.get(variable, "").split(",")
    of_xdist = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    return urls[(copied_runs.number or of_xdist) % len(urls)]


@pytest.fixture
def redis_url(valkey_url: str) -> str:
    """The session's Valkey with nothing in its database 0."""
    with connect_blocking(valkey_url) as client:
        send_blocking(client, "FLUSHDB")
    return valkey_url


@pytest.fixture(scope="session")
def with_tables(postgres_url: str) -> str:
    """The name of a database with Flower's tables and nothing in them, of which others are copies: the
    migrations cost ten times as much as a copy."""
    name = "with_tables"
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}".encode())

    make_tables(postgres_url.replace("@/flower", f"@/{name}"))
    return name


@pytest.fixture(scope="session")
def reused_database(postgres_url: str, with_tables: str) -> Iterator[ReusedDatabase]:
    reused = ReusedDatabase(postgres_url, with_tables)
    yield reused
    reused.close()


@pytest.fixture
def database_url(postgres_url: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """A database for the test alone in the session's Postgres, with Flower's tables and nothing in them;
    without tables for a test that is marked ``no_tables``, as one of a first start is."""
    if request.node.get_closest_marker("no_tables") is not None:
        with fresh_database(postgres_url, EMPTY) as url:
            yield url
    else:
        reused: ReusedDatabase = request.getfixturevalue("reused_database")
        with reused.borrowed() as url:
            yield url


_TESTS = Path(__file__).parent
_LONG_FIRST = [
    _TESTS / one
    for one in (
        *("stateful/test_transitions.py", "acceptance/test_lost_redis.py", "api/test_openapi.py"),
        *("doctor/test_doctor.py", "acceptance/test_chaos.py", "acceptance/test_crash_points.py"),
        *("acceptance/test_rolling_restart.py", "acceptance/test_flow_control.py"),
        *("acceptance/test_operator.py", "worker/test_task_logs.py", "authoring/test_typing.py"),
        *("api/test_connections.py", "api/test_control_rows.py", "scripts/test_operation_effects.py"),
        *("stateful", "acceptance", "cli", "recovery", "poolers", "worker", "embedded", "api", "projection"),
    )
]
"""Files that take longest, and folders whose files take long. Of several workers none is then left with such
a file at the end, when the others have nothing to do any more."""
assert all(one.exists() for one in _LONG_FIRST), _LONG_FIRST


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    order = {path: place for place, path in enumerate(_LONG_FIRST)}
    last = len(order)
    items.sort(key=lambda item: min(order.get(item.path, last), order.get(item.path.parent, last)))


def pytest_collection_finish() -> None:
    """What is collected stays to the end: to look for garbage among it, again and again, took a tenth of the
    CPU that tests take."""
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)
    gc.enable()


@pytest.hookimpl(wrapper=True)
def pytest_runtestloop(session: pytest.Session) -> Generator[None, object, object]:
    """What each copy would make for itself is made once, before there are copies."""
    if session.config.getoption("--copies") and session.items and not session.config.option.collectonly:
        prepare_ahead()
        forked_flower.begin_ahead()
        fuzzing.know_constants()
    return (yield)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--fuzz", type=int, default=0, metavar="N", help="random examples of Hypothesis, N times as many"
    )
    parser.addoption(
        "--copies", type=int, default=0, metavar="N", help="run files beside each other in N copies"
    )
    parser.addoption(
        "--stalls", type=int, metavar="SEED", help="beside busy loops, let processes stand still at random"
    )


def pytest_configure(config: pytest.Config) -> None:
    fuzzing.set_up(config.getoption("--fuzz") or 0)
    if copies := config.getoption("--copies"):
        config.pluginmanager.register(copied_runs.CopiedRun(copies))
    if (seed := config.getoption("--stalls")) is not None:
        config.pluginmanager.register(stalls.Stalls(seed))
    config.addinivalue_line("markers", "no_tables: the database of this test is without Flower's tables")
