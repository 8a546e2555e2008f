"""What ``flower new`` writes. Tests try it as it stands: type checkers, its own test, and a run."""

from collections.abc import Mapping

_WORKFLOW = '''\
"""A first workflow: who ordered how much on a day."""

from dataclasses import dataclass
from datetime import date

from flower_engine import RetryPolicy, program, workflow


@dataclass
class Order:
    customer: str
    amount: int


@program("{name}.read_orders")
async def read_orders(day: date) -> list[Order]:
    """The orders of a day. These are made up: read yours from a file, a database or an API."""
    return [Order("Ada", 40), Order("Grace", 2 * day.day), Order("Ada", 7)]


@program("{name}.sum_up")
def sum_up(orders: list[Order], at_least: int = 0) -> dict[str, int]:
    """How much each customer ordered, without orders that are too small."""
    totals: dict[str, int] = {{}}
    for order in orders:
        if order.amount >= at_least:
            totals[order.customer] = totals.get(order.customer, 0) + order.amount
    print(f"{{len(orders)}} orders of {{len(totals)}} customers")
    return totals


@program("{name}.report")
def report(day: date, totals: dict[str, int]) -> str:
    """What people read in the morning."""
    best = max(totals, key=lambda customer: totals[customer], default="nobody")
    return f"{{day}}: {{sum(totals.values())}} in all, most by {{best}}"


@workflow("{name}", timeout="1h")
def {module}(day: date, at_least: int = 0) -> str:
    """Each .step is a task; a result that is handed on makes the next task wait for it."""
    orders = read_orders.having(retry=RetryPolicy(3, delay="5s"), timeout="5m").step(day)
    totals = sum_up.step(orders, at_least=at_least)
    summary = report.step(day, totals)
    return summary
'''

_TEST = '''\
"""Programs are functions, so tests call them; the workflow's definition is data, so tests look at it."""

from datetime import date

from {module} import Order, {module}, report, sum_up


def test_small_orders_do_not_count() -> None:
    orders = [Order("Ada", 40), Order("Grace", 1), Order("Ada", 2)]
    assert sum_up(orders, at_least=2) == {{"Ada": 42}}


def test_the_report_names_who_ordered_most() -> None:
    assert report(date(2026, 1, 5), {{"Ada": 42, "Grace": 1}}) == "2026-01-05: 43 in all, most by Ada"


def test_the_workflow_is_defined_as_it_should_be() -> None:
    document = {module}.document()
    assert [task["taskName"] for task in document["tasks"]] == ["orders", "totals", "summary"]
'''

_README = """\
# {name}

A workflow in `{module}.py`, and a test of it.

```
flower run {module} day=2026-01-05 at_least=10   # once, from start to result; needs nothing else
flower dev {module}      # an engine that takes over what you change; with it, in another terminal:
flower register {name} --param day=2026-01-05 --wait
flower show last
pytest                   # the test (pip install pytest)
```
"""


def project_files(name: str, module: str) -> Mapping[str, str]:
    """Texts by the names of their files."""
    texts = {f"{module}.py": _WORKFLOW, f"test_{module}.py": _TEST, "README.md": _README}
    return {file: text.format(name=name, module=module) for file, text in texts.items()}
