"""Two projectors at work on one partition count each event once: the one that wrote it."""

from collections.abc import Iterator

import pytest

from api.serving import RunningApi
from flower_engine.projection.database import connect
from flower_projector.event_counts import EventCounts
from flower_projector.log_follower import Follower
from metrics.scraping import scrape


@pytest.fixture
def api(redis_url: str, database_url: str) -> Iterator[RunningApi]:
    with RunningApi(redis_url=redis_url, database_url=database_url) as running:
        yield running


async def test_each_event_is_counted_by_who_wrote_it(api: RunningApi) -> None:
    api.define("etl", {}, {"dependsOn": []})
    for _ in range(30):
        api.register("etl")
    counts = [EventCounts(), EventCounts()]
    url = api.settings.database_url or ""
    async with (
        api.engine() as engine,
        await connect(url, "first") as first,
        await connect(url, "second") as second,
    ):
        followers = [
            Follower(engine.client, connection, engine.partition, 7, counts=one.following())
            for connection, one in zip((first, second), counts, strict=True)
        ]
        done = 0
        while done < 4:  # in turns, each overtaken by the other again and again
            written = [await follower.run_once() for follower in followers]
            done = 0 if any(written) else done + 1
    [(archived,)] = api.sql("SELECT count(*) FROM kr_event")
    assert sum(one.events for one in counts) == archived
    assert sum(one.flows["registered"] for one in counts) == 30
    assert sum(one.tasks["registered"] for one in counts) == 60
    assert min(one.events for one in counts) > 0


async def test_who_follows_the_archive_is_told_with_how_far_it_is_behind(api: RunningApi) -> None:
    api.define("etl", {})
    api.register("etl")
    await api.project()
    api.sql(
        "INSERT INTO kr_follower (name, partition, position_ms, position_seq)"
        " SELECT %s, partition, split_part(position, '-', 1)::bigint - 5000, 0 FROM kr_projection",
        "hooks",
    )
    assert scrape(api.url).value("flower_follower_lag_seconds", follower="hooks") == 5
