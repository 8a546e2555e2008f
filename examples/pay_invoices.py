"""A workflow that decides as it runs: it waits until all invoices are there, reads each of them, asks
somebody where they come to much, and pays every supplier in a flow of its own.

An invoice is a file ``FOLDER/NAME.json`` with ``{"supplier": "Ada", "cents": 1250}``; an empty file
``FOLDER/complete`` says that no other comes.
"""

from pathlib import Path

import msgspec

from flower_engine import (
    Again,
    Fatal,
    RetryPolicy,
    answered_by,
    approval,
    either,
    otherwise,
    program,
    when,
    workflow,
)


class Invoice(msgspec.Struct):
    supplier: str
    cents: int


class Payment(msgspec.Struct):
    supplier: str
    cents: int
    invoices: int


class Batch(msgspec.Struct):
    cents: int
    payments: list[Payment]


@program
def find_invoices(folder: Path) -> list[Path]:
    """All of them, or another look in a while: no worker waits in between."""
    if not (folder / "complete").exists():
        raise Again(after="2s")
    return sorted(folder.glob("*.json"))


@program
def read_invoice(file: Path) -> Invoice:
    try:
        return msgspec.json.decode(file.read_bytes(), type=Invoice)
    except msgspec.DecodeError as error:
        raise Fatal(f"{file.name} is no invoice: {error}") from error


@program
def group_by_supplier(invoices: list[Invoice]) -> Batch:
    payments: dict[str, Payment] = {}
    for invoice in invoices:
        payment = payments.setdefault(invoice.supplier, Payment(invoice.supplier, 0, 0))
        payment.cents += invoice.cents
        payment.invoices += 1
    return Batch(sum(invoice.cents for invoice in invoices), list(payments.values()))


@program
def release(payments: list[Payment], by: list[str]) -> list[Payment]:
    """What may be paid, and in whose name."""
    return payments


@program
def transfer(payment: Payment, folder: Path) -> Path:
    """Pays once, however often it runs: what has its receipt is paid."""
    receipt = folder / f"paid-{payment.supplier}.txt"
    if not receipt.exists():
        unfinished = receipt.with_suffix(".part")
        unfinished.write_text(f"{payment.cents} cents for {payment.invoices} invoices\n")
        unfinished.replace(receipt)
    return receipt


@program
def tell_supplier(payment: Payment, receipt: Path) -> str:
    return f"{payment.supplier}: {receipt.read_text().strip()}"


@workflow("pay_supplier")
def pay_supplier(payment: Payment, folder: Path) -> str:
    receipt = transfer.having(retry=RetryPolicy(5, delay="10s")).step(payment, folder)
    return tell_supplier.step(payment, receipt)


@workflow("pay_invoices", timeout="7d")
def pay_invoices(folder: Path, most_cents: int = 100_000) -> list[str]:
    """What every supplier was told; nobody was told anything where the answer is no."""
    files = find_invoices.having(max_rounds=5000).step(folder)
    invoices = read_invoice.having(key="").map(files)
    batch = group_by_supplier.step(invoices)
    with when(batch.cents > most_cents, name="is_much"):
        ok = approval(title="Pay these?", shows=batch.payments, timeout="3d")
        with when(ok.approved):  # a no ends the question, too: what may go on then is said here
            agreed = release.step(batch.payments, answered_by(ok))
    with otherwise():
        small = release.step(batch.payments, [])
    return pay_supplier.having(limit=5, key="/supplier").map(either(agreed, small), folder=folder)
