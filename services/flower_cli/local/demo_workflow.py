"""What ``flower demo`` runs of Python: a workflow whose tasks hand on results. It shows this very text."""

from datetime import date

from flower_engine import RetryPolicy, program, workflow


@program("demo.fetch")
async def fetch(day: date, shop: str) -> dict[str, int]:
    return {"pens": 3 * day.day, shop: 7}


@program("demo.add_up")
def add_up(shops: list[dict[str, int]], at_least: int) -> dict[str, int]:
    names = sorted({name for shop in shops for name in shop})
    totals = {name: sum(shop.get(name, 0) for shop in shops) for name in names}
    return {name: total for name, total in totals.items() if total >= at_least}


@workflow("sales", timeout="1h")
def sales(day: date, at_least: int = 10) -> dict[str, int]:
    patient = fetch.having(retry=RetryPolicy(5, delay="10s"), timeout="5m")
    north = patient.step(day, "north")
    south = patient.step(day, "south")  # at the same time
    total = add_up.step([north, south], at_least)  # waits for both, and takes what they return
    return total
