"""An HTTP API with retries and a rate limit: rates of exchange of a day, one request a currency.

The API says when it has had enough (429, 503), and is heeded; what it does not know is not asked for again.
How often it may be asked is a limit of the program, whatever workflow it is in, on however many workers:

    flower limit program fetch_rate --rate 5 --period 1
"""

from datetime import date
from decimal import Decimal
from typing import Any

import httpx
import msgspec

from flower_engine import Fatal, Retry, RetryPolicy, program, workflow

CURRENCIES = ("USD", "GBP", "CHF")
BUSY = (429, 503)


class Rate(msgspec.Struct):
    """What one euro is worth."""

    currency: str
    per_euro: Decimal


class Amount(msgspec.Struct):
    currency: str
    amount: Decimal


@program
async def fetch_rate(url: str, currency: str, day: date) -> Rate:
    """Asks once; what follows of an error is for Flower to do."""
    async with httpx.AsyncClient(timeout=20) as client:
        reply = await client.get(f"{url}/rates/{day}/{currency}")
    if reply.status_code in BUSY:
        raise Retry(f"{reply.url} is busy", after=_seconds(reply.headers.get("Retry-After")))
    if reply.status_code == 404:
        raise Fatal(f"{reply.url} has no rate of {currency}")
    reply.raise_for_status()  # anything else is tried again by the policy of the task
    return Rate(currency, msgspec.json.decode(reply.content, type=dict[str, Decimal])["rate"])


def _seconds(said: str | None) -> float | None:
    """None: the policy of the task says when."""
    return float(said) if said is not None and said.isdecimal() else None


@program
def convert(euros: Decimal, rates: list[Rate]) -> list[Amount]:
    """An amount in every currency, to the cent."""
    cent = Decimal("0.01")
    return [Amount(rate.currency, (euros * rate.per_euro).quantize(cent)) for rate in rates]


@workflow("exchange_rates", timeout="1h")
def exchange_rates(url: str, day: date, euros: Decimal = Decimal(100)) -> dict[str, Any]:
    """What an amount in euros was worth on a day."""
    patient = fetch_rate.having(retry=RetryPolicy(6, delay="1s", max_delay="1m", jitter=0.2), timeout="30s")
    rates: list[Rate] = []
    for currency in CURRENCIES:  # known when the workflow is defined: tasks of their own, at the same time
        rates.append(patient.having(name=f"rate_{currency}").step(url, currency, day))
    amounts = convert.step(euros, rates)
    return {"day": day, "amounts": amounts}
