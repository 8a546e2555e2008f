"""What a newcomer meets works as it is written: the beginning of the README, the tutorial, the examples."""

import contextlib
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from acceptance.running import PATIENT, RunningEngine
from flower_engine.client import Client
from newcomer.one_engine import Newcomer
from newcomer.page_blocks import Block, blocks_of
from newcomer.rates_server import rates_server
from unit.pages import DOCS, ROOT

EXAMPLES = ROOT / "examples"
ORDERS = "customer,product,amount\nAda,pen,70.50\nBob,ink,12.00\nAda,ink,40.00\n"


@pytest.fixture(scope="module")
def newcomer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Newcomer]:
    """With one engine for all of this file: to start one costs as much as all that is tried here."""
    folder = tmp_path_factory.mktemp("engine")
    settings = {**PATIENT, "FLOWER_BLOBS": "api", "FLOWER_PROCESSES": "2"}
    with (
        RunningEngine.started(folder, "api", "projector", "watcher", **settings) as engine,
        Client(engine.url) as client,
    ):
        engine.set_environment(FLOWER_URL=engine.url)
        yield Newcomer(engine, client, tmp_path_factory.mktemp("newcomer"))


@pytest.fixture(scope="module")
def examples(newcomer: Newcomer) -> Newcomer:
    """The same, in a folder with the examples."""
    folder = newcomer.folder / "examples"
    shutil.copytree(EXAMPLES, folder, ignore=shutil.ignore_patterns("__pycache__"))
    return Newcomer(newcomer.engine, newcomer.client, folder)


def run(who: Newcomer, name: str, *given: str) -> Any:
    with contextlib.chdir(who.folder):
        return msgspec.json.decode(who.run(name, *given))


def test_the_readme_begins_with_what_works(newcomer: Newcomer) -> None:
    begin, _, _ = (ROOT / "README.md").read_text().partition("## How it works")
    newcomer.follow(blocks_of(begin))


def test_the_tutorial_tells_the_truth(newcomer: Newcomer) -> None:
    newcomer.follow(blocks_of((DOCS / "tutorial.md").read_text()))


def test_who_comes_from_another_engine_finds_his_workflow_again(newcomer: Newcomer) -> None:
    pages = {page.stem: blocks_of(page.read_text()) for page in sorted(DOCS.glob("from-*.md"))}
    with_flower: list[list[Block]] = []
    for name, blocks in pages.items():
        for block in blocks:
            if block.file:
                compile(block.text, f"{name}: {block.file}", "exec")
        others = [block for block in blocks if block.file.startswith(name.removeprefix("from-"))]
        assert len(others) == 1, f"{name} shows the workflow once as the other engine has it"
        with_flower.append([block for block in blocks if block not in others])
    assert len(pages) == 4 and all(blocks == with_flower[0] for blocks in with_flower)
    newcomer.follow(with_flower[0])


def test_what_else_the_readme_has_can_be_used(newcomer: Newcomer) -> None:
    _, _, rest = (ROOT / "README.md").read_text().partition("## How it works")
    for code in re.findall(r"^```python\n(.*?)^```$", rest, re.MULTILINE | re.DOTALL):
        compile(code, "README.md", "exec")
    for definition in re.findall(
        r"(?:^```json\n|-d ')(\{.*?\})(?=\n```|'\n)", rest, re.MULTILINE | re.DOTALL
    ):
        document = {"taskId": "of-the-readme", **msgspec.json.decode(definition)}
        newcomer.client.workflows.put(document)


def test_sales_of_files_go_through_sqlite(examples: Newcomer) -> None:
    (examples.folder / "in").mkdir(exist_ok=True)
    (examples.folder / "in" / "north-2026-01-05.csv").write_text("article,pieces,cents\npen,2,300\n")
    (examples.folder / "in" / "west-2026-01-05.csv").write_text("article,pieces,cents\nink,1,500\n")
    returned = run(examples, "sales_etl.py", "day=2026-01-05", "folder=in", "database=sales.db")
    assert returned == {"rows": 2, "file": "in/totals-2026-01-05.csv", "articles": 2}
    assert (examples.folder / returned["file"]).read_text().splitlines() == [
        *("article,pieces,cents", "ink,1,500", "pen,2,300"),
    ]


def test_rates_come_from_an_api_that_is_busy_at_first(examples: Newcomer) -> None:
    with rates_server() as served:
        returned = run(examples, "exchange_rates.py", "day=2026-01-05", f"url={served.url}")
        assert returned["amounts"] == [
            {"currency": "USD", "amount": "125.00"},
            {"currency": "GBP", "amount": "80.00"},
            {"currency": "CHF", "amount": "93.45"},
        ]
        assert set(served.asked.values()) == {3}


def test_rates_are_asked_for_as_often_as_the_limit_says(examples: Newcomer) -> None:
    flower = examples.engine.flower
    with rates_server() as served:
        for currency in ("USD", "GBP", "CHF"):
            served.asked[currency] = 2
        assert flower("limit", "program", "fetch_rate", "--rate", "2", "--period", "3600").returncode == 0
        with contextlib.chdir(examples.folder):
            workflow = examples.define("exchange_rates.py")
        flow = examples.client.register(workflow, day="2026-01-05", url=served.url)
        examples.engine.wait_for(
            "two rates", lambda: [task.status for task in flow.tasks()].count("Finish") == 2
        )
        assert served.asked.total() == 8
        assert "rate" in flower("why", flow.id).stdout
        assert flower("limit", "program", "fetch_rate", "--off").returncode == 0
        assert examples.ended(flow.id).word == "Finish"


def test_what_was_staged_is_dropped_and_somebody_told_when_a_load_fails(examples: Newcomer) -> None:
    with contextlib.chdir(examples.folder):
        workflow = examples.define("load_and_clean.py")
    folder = examples.folder
    fine = examples.client.register(workflow, folder=str(folder), rows=3)
    flow = examples.ended(fine.id)
    assert (flow.word, [task.ended_as for task in flow.tasks]) == ("Finish", [*[None] * 4, "notTaken"])
    assert (folder / "loaded.txt").exists() and not (folder / "notice.txt").exists()

    flow = examples.ended(examples.client.register(workflow, folder=str(folder), rows=300).id)
    stand = {task.name: (task.status, task.ended_as) for task in flow.tasks}
    assert flow.word == "Failed"
    assert stand == {
        "staged": ("Finish", None),
        "loaded": ("Suspend", "givenUp"),
        "publish_rows": ("Ignore", "notTaken"),
        "drop_stage": ("Finish", None),
        "tell_somebody": ("Finish", None),
    }
    assert (folder / "notice.txt").exists() and not (folder / "staged.txt").exists()
    told = examples.engine.flower("why", flow.id).stdout
    assert "not taken by its rule ready: task 2 was given up" in told


def test_invoices_are_waited_for_and_paid_when_somebody_agrees(examples: Newcomer) -> None:
    folder, flower = examples.folder / "invoices", examples.engine.flower
    folder.mkdir()
    (folder / "1.json").write_text('{"supplier": "Ada", "cents": 1250}')
    (folder / "2.json").write_text('{"supplier": "Bob", "cents": 99000}')
    (folder / "3.json").write_text('{"supplier": "Ada", "cents": 750}')
    with contextlib.chdir(examples.folder):
        examples.serve(Path("pay_invoices.py"))
        deployed = flower("deploy", "pay_invoices.py", "--yes")
    assert deployed.returncode == 0, deployed.stderr

    few = examples.client.register("pay_invoices", folder=str(folder), most_cents=200_000)
    examples.engine.wait_for("another look at the folder", lambda: "round 1" in flower("why", few.id).stdout)
    (folder / "complete").touch()
    flow = examples.ended(few.id)
    assert flow.word == "Finish", flow.failed
    paid = ["Ada: 2000 cents for 2 invoices", "Bob: 99000 cents for 1 invoices"]
    assert flow.result == paid

    much = examples.client.register("pay_invoices", folder=str(folder))
    examples.engine.wait_for("the question", lambda: much.id in flower("approvals", "list", "--json").stdout)
    assert flower("answer", much.id, "ok", "--yes").returncode == 0
    assert examples.ended(much.id).result == paid
    for receipt in folder.glob("paid-*.txt"):
        receipt.unlink()
    refused = examples.client.register("pay_invoices", folder=str(folder))
    examples.engine.wait_for(
        "the question", lambda: refused.id in flower("approvals", "list", "--json").stdout
    )
    assert flower("answer", refused.id, "ok", "--no").returncode == 0
    flow = examples.ended(refused.id)
    assert (flow.word, flow.result) == ("Finish", None)
    assert list(folder.glob("paid-*.txt")) == []


def test_models_are_trained_side_by_side(examples: Newcomer) -> None:
    returned = run(examples, "train_model.py", "count=300")
    assert returned["score"]["points"] == 300 and returned["score"]["right"] > 270
    assert returned["weights"]["$blob"]["bytes"] == 4 * 8


def test_a_report_of_a_day_is_written(examples: Newcomer) -> None:
    (examples.folder / "2026-01-05.csv").write_text(ORDERS)
    returned = run(examples, "daily_report.py", "day=2026-01-05", "folder=.", "threshold=20")
    assert returned == {"file": "report-2026-01-05.md", "amount": "122.50"}
    assert "# 3 orders of 2026-01-05, 122.50 in all" in (examples.folder / returned["file"]).read_text()


def test_definitions_come_from_a_csv_by_sql(examples: Newcomer) -> None:
    (examples.folder / "2026-01-05.csv").write_text(ORDERS)
    examples.serve(examples.folder / "daily_report.py")
    with contextlib.chdir(examples.folder):
        for _ in range(2):  # again: the same
            words = ("psql", "-v", "ON_ERROR_STOP=1", "-f", "import_definitions.sql")
            imported = examples.engine.flower(*words)
            assert imported.returncode == 0, imported.stderr
    for region, lines in {"north": 1, "south": 1}.items():
        given = {"day": "2026-01-05", "folder": str(examples.folder)}
        flow = examples.client.register(f"report_{region}", **given).wait(timeout=180)
        assert flow.word == "Finish", flow.failed
        text = Path(flow.result["file"]).read_text()
        assert text.startswith(f"# {region.title()}: 3 orders\n") and text.count("| Ada") == lines
    refused = examples.engine.flower("register", "report_north", "dya=2026-01-05")
    assert refused.returncode != 0 and "day" in refused.stderr


def test_the_list_of_examples_has_each() -> None:
    listed = (EXAMPLES / "README.md").read_text()
    files = {file.name for file in EXAMPLES.iterdir() if file.suffix in (".py", ".sql", ".csv")}
    assert {name for name in files if f"]({name})" not in listed} == set()


def test_every_example_is_run_by_a_test() -> None:
    tests = "".join(file.read_text() for file in (ROOT / "tests").rglob("test_*.py"))
    examples = {file.name for file in EXAMPLES.iterdir() if file.suffix in (".py", ".sql")}
    assert {name for name in examples if f'"{name}"' not in tests} == set()
