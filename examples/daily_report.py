"""A report with parameters: reads the orders of a day, adds them up, and writes a page of Markdown.

The orders of a day are a file ``FOLDER/2026-01-05.csv`` with the columns customer, product and amount.
"""

import csv
from datetime import date
from decimal import Decimal
from pathlib import Path

import msgspec

from flower_engine import CONTEXT, Context, Fatal, RetryPolicy, program, text, workflow


class Order(msgspec.Struct):
    customer: str
    product: str
    amount: Decimal


class Customer(msgspec.Struct):
    name: str
    orders: int
    amount: Decimal


class Summary(msgspec.Struct):
    orders: int
    amount: Decimal
    largest: list[Customer]


@program
def read_orders(folder: Path, day: date, ctx: Context = CONTEXT) -> list[Order]:
    """The orders of a day, as they came in."""
    file = folder / f"{day}.csv"
    if not file.exists():
        raise FileNotFoundError(f"{file} is not there (yet)")
    with file.open(newline="") as rows:
        orders = [
            Order(row["customer"], row["product"], Decimal(row["amount"])) for row in csv.DictReader(rows)
        ]
    ctx.progress(1, f"{len(orders)} orders")
    return orders


@program
def summarise(orders: list[Order], threshold: Decimal = Decimal(0)) -> Summary:
    """Totals of all, and customers of at least the threshold, the largest first."""
    if not orders:
        raise Fatal("a day without orders is a mistake: no attempt finds more")
    by_name: dict[str, Customer] = {}
    for order in orders:
        known = by_name.setdefault(order.customer, Customer(order.customer, 0, Decimal(0)))
        known.orders += 1
        known.amount += order.amount
    largest = sorted(by_name.values(), key=lambda customer: customer.amount, reverse=True)
    return Summary(
        orders=len(orders),
        amount=sum((order.amount for order in orders), Decimal(0)),
        largest=[customer for customer in largest if customer.amount >= threshold],
    )


@program
def write_report(title: str, customers: list[Customer], folder: Path, day: date) -> Path:
    """A page of Markdown; written whole or not at all, so another attempt does no harm."""
    file = folder / f"report-{day}.md"
    lines = [f"# {title}", "", "| customer | orders | amount |", "|---|---|---|"]
    lines += [f"| {one.name} | {one.orders} | {one.amount} |" for one in customers]
    unfinished = file.with_suffix(".part")
    unfinished.write_text("\n".join(lines) + "\n")
    unfinished.replace(file)
    return file


class Report(msgspec.Struct):
    file: Path
    amount: Decimal


@workflow("daily_report", timeout="2h", labels={"team": "sales"})
def daily_report(day: date, folder: Path, threshold: Decimal = Decimal(100)) -> Report:
    """A page with the customers whose orders of a day came to at least the threshold."""
    late = RetryPolicy(12, delay="5m", backoff=1)  # the file may come up to an hour late
    orders = read_orders.having(retry=late, timeout="10m").step(folder, day)
    summary = summarise.step(orders, threshold)
    title = text("{n} orders of {day}, {amount} in all", n=summary.orders, day=day, amount=summary.amount)
    written = write_report.step(title, summary.largest, folder, day)
    return Report(file=written, amount=summary.amount)
