"""Who was refused, because of a token or for lack of one: counted, so that a flood of guesses is a few rows.

There is one row of the audit for each minute, address, name and status, and no more than a bounded number of
these: what is beyond is counted together, as "others". A day that has many has one of others an hour.
"""

import ipaddress
import logging
import os
import socket
from typing import NamedTuple

import msgspec
from starlette.types import Message, Scope, Send

from flower_engine.flows.postgres_stores import PostgresStores
from flower_engine.projection.definitions.refusal_rows import MOST_A_DAY, count_refusals, note_refusals
from flower_engine.runtime.backoff import StoreBackoff
from flower_engine.runtime.clock import SYSTEM_CLOCK, Clock
from flower_engine.runtime.loop import Loop

_log = logging.getLogger(__name__)

REFUSED = (401, 403)
MOST_A_MINUTE = 20
"""Rows of their own that a process makes of one minute."""
_MOST_HELD = 200  # counts while Postgres is away
_INTERVAL_SECONDS = 2.0
_MINUTE_MS, _HOUR_MS = 60_000, 3_600_000
UNKNOWN, OTHERS = "unknown", "others"


class Refused(NamedTuple):
    """Whom a count is of; beyond the bound ``address`` is "others", and ``by`` "unknown"."""

    address: str
    by: str
    status: int


class _Count(msgspec.Struct):
    """``since_ms`` is when the first of them was, by which its row is found; it counts until ``until_ms``."""

    since_ms: int
    until_ms: int
    count: int = 0
    noted: int = 0


class RefusalsLoop:
    """Counts who is refused, and brings the counts to the audit."""

    def __init__(self, stores: PostgresStores, clock: Clock = SYSTEM_CLOCK) -> None:
        self._stores = stores
        self._clock = clock
        self._counts: dict[Refused, _Count] = {}
        self._over: list[tuple[Refused, _Count]] = []  # of minutes that are over, and not noted yet
        self._minute = 0
        self._of_minute = 0
        self._is_full = False
        self._process = f"{socket.gethostname()}:{os.getpid()}"

    def watching(self, scope: Scope, send: Send, by: str | None) -> Send:
        """Sends what is answered on, and counts it where it is a refusal; ``by``: whose token it was."""

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] in REFUSED:
                self.count(scope.get("client"), by or UNKNOWN, message["status"])
            await send(message)

        return told

    def count(self, client: tuple[str, int] | None, by: str, status: int) -> None:
        """One more was refused."""
        now = self._clock.now_ms()
        if now // _MINUTE_MS != self._minute:
            self._minute, self._of_minute = now // _MINUTE_MS, 0
        who = Refused(place_of(client), by, status)
        found = self._counts.get(who)
        if found is None or found.until_ms <= now:
            is_named = not self._is_full and self._of_minute < MOST_A_MINUTE and self.held < _MOST_HELD
            if not is_named:
                who = Refused(OTHERS, UNKNOWN, status)
                found = self._counts.get(who)
        else:
            is_named = True
        if found is not None and found.noted < found.count and self.held >= _MOST_HELD:
            found.until_ms = max(found.until_ms, now + 1)  # Postgres is away: it goes on until it is noted
        if found is None or found.until_ms <= now:
            if found is not None and found.noted < found.count:
                self._over.append((who, found))
            found = self._counts[who] = _Count(now, now + (_HOUR_MS if self._is_full else _MINUTE_MS))
            self._of_minute += is_named
        found.count += 1

    @property
    def held(self) -> int:
        """How many counts there are."""
        return len(self._counts) + len(self._over)

    async def run(self) -> None:
        """Works until cancelled."""
        backoff = StoreBackoff(_log, "refusals")
        await Loop("refusals", self.run_once, _INTERVAL_SECONDS, backoff, is_watched=False).run()

    async def run_once(self) -> int:
        """Brings what was counted to the audit; how many rows that were."""
        counted = [*self._over, *self._counts.items()]
        due = [(who, one, one.count) for who, one in counted if one.noted < one.count]
        if due:
            async with self._stores.postgres() as connection, connection.transaction():
                for who, one, count in due:
                    said = {"count": count, "status": who.status, "api": self._process}
                    await note_refusals(connection, one.since_ms, who.by, who.address, said)
                known = await count_refusals(connection, self._clock.now_ms())
            self._is_full = known >= MOST_A_DAY
        for _, one, count in due:
            one.noted = count
        now = self._clock.now_ms()
        self._over = [(who, one) for who, one in self._over if one.noted < one.count]
        for who, one in list(self._counts.items()):
            if one.noted == one.count and one.until_ms <= now:
                del self._counts[who]
        return len(due)


def place_of(client: tuple[str, int] | None) -> str:
    """The address that a connection came from; of IPv6 the network of which somebody has all addresses."""
    if client is None:
        return UNKNOWN
    try:
        address = ipaddress.ip_address(client[0])
    except ValueError:
        return client[0][:64]
    if address.version == 4:
        return str(address)
    if (inner := address.ipv4_mapped) is not None:
        return str(inner)
    return str(ipaddress.ip_network((address, 64), strict=False))
