"""What a map comes to: its items, and the list of their results; the same for whoever expands it."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, NoReturn

import msgspec

from flower_engine.errors import ParameterError
from flower_engine.model.definitions.definition import PlannedTask, TaskKeys, key_of_value
from flower_engine.model.definitions.map_chains import is_aligned, whole_result
from flower_engine.model.definitions.map_tasks import (
    KEY,
    KEYS,
    MAX_GIVEN_BYTES,
    MAX_ITEM_BYTES,
    MOST_ITEMS,
    OVER,
    gives_up_items,
    stops_items,
    tolerated,
)
from flower_engine.model.definitions.task_message import TaskMessage
from flower_engine.model.definitions.task_rules import TaskRules
from flower_engine.model.flow_control.lanes import Lane, parse_lane
from flower_engine.model.maps.decision_outcomes import Decided
from flower_engine.model.maps.earlier_items import EarlierItem, TakenItem, input_of, input_of_item, same
from flower_engine.model.maps.item_keys import keys_of
from flower_engine.model.maps.map_items import (
    Along,
    Came,
    Given,
    element_name,
    item_along,
    item_like,
    items_of,
)
from flower_engine.model.maps.map_lists import ListError, elements_of
from flower_engine.model.parameters.references import NoValueError, resolved
from flower_engine.model.tasks.raised_errors import encode_error
from flower_engine.model.tasks.task_policy import TaskPolicy
from flower_engine.model.values.floats import spelled_out
from flower_engine.model.values.noun_counts import are, counted

NOTHING = Decided("gathered", b"[]")
"""What a map of an empty list comes to."""

_ENDED_AS = {b"": b"finished", b"2x": b"given_up"}
_decode = msgspec.json.decode
_encode = msgspec.json.Encoder().encode


class Follower(NamedTuple):
    """A map that may go along another one, ``over``, as Redis has it: number, message, lane, policy, and the
    items that it had, if it is matched with them."""

    task: int
    over: int
    message: TaskMessage
    lane: str
    policy: str
    text: bytes
    """Of the message."""
    earlier: tuple[EarlierItem, ...] = ()


class Link(NamedTuple):
    """A map that goes along another one when that gets its items. ``map_rules``: as of an expansion;
    ``text``: the message by which this was worked out; ``earlier``: the items that it had."""

    along: Along
    map_rules: bytes
    text: bytes
    earlier: tuple[EarlierItem, ...] = ()


class Expansion(NamedTuple):
    """The items of a map: what they have in common (``item``, without a number), and what each is given.
    ``map_rules``: the rules of the map once it has them (see ``task_rules.py``), where these are others;
    ``chain``: the maps that go along it; ``taken``: of those that take over what an earlier one came to that,
    by index, those of the chain behind the others."""

    workflow: str
    item: PlannedTask
    given: Given
    map_rules: bytes = b""
    chain: tuple[Link, ...] = ()
    taken: Mapping[int, EarlierItem] = {}

    @property
    def total(self) -> int:
        """How many items there are, those of the chain among them."""
        return len(self.given.values) * (1 + len(self.chain))

    @property
    def told(self) -> bytes:
        """The fields of the event that say it, behind ``first``."""
        given = self.given
        told = b',"workflow":%b,"name":%b,"item":%b,"values":[%b]' % (
            _encode(self.workflow),
            _encode(given.name),
            spelled_out(_encode(self.item)),
            b",".join(map(bytes, given.values)),
        )
        told += b',"keys":' + _encode(given.keys) if given.keys else b""
        told += b',"item_keys":' + _encode(given.item_keys) if given.item_keys else b""
        if self.taken:
            found = [TakenItem(index, one.seq, one.result, one.blob) for index, one in self.taken.items()]
            told += b',"taken":' + _encode(found)
        if not self.chain:
            return told
        return told + b',"chain":' + spelled_out(_encode([link.along for link in self.chain]))

    def chained(self, link: Link, of: int, first: int, index: int) -> PlannedTask:
        """An item of a map that goes along; ``of``: the number of the map that is expanded, ``first`` of its
        items."""
        count, maps = len(self.given.values), [of, *(one.along.task for one in self.chain)]
        along = link.along
        place, over = (first + count * maps.index(one) for one in (along.task, along.over))
        return item_along(Came(along.task, place, along.item, over, along.ref), index, self.given.item_keys)


class TooManyFailedError(ParameterError):
    """More items of a map were given up than it tolerates."""


def expansion_of(
    message: TaskMessage,
    lane: Lane,
    policy: TaskPolicy | None,
    contents: Mapping[int, bytes | None],
    of: tuple[str, int] = ("", 0),
) -> Expansion | Decided:
    """The items of a map, or what it has come to without any: an empty list, or an error. ``contents``: the
    JSON of what it reads, by the number of the task; None: that one has no result. ``of``: its flow and
    number. It never raises."""

    def read(name: str) -> Any:
        content = contents.get(message.reads.get(name, 0))
        if content is None:
            raise NoValueError(name)
        return _decode(content)

    try:
        given = resolved(message.parameters, read, _no_secret) if message.refs else message.parameters
        elements = elements_of(given, given[OVER])
        values = _values(elements)
        if not values:
            return NOTHING
        item = item_like(_planned_like(message, lane, policy), given, of)
        each, of_list = _size_of_each(item), sum(map(len, values))
        if each * len(values) + of_list > MAX_GIVEN_BYTES:
            raise ListError(_too_much(len(values), each, of_list))
        made = Given(element_name(given), values, _keys(item, given, values), keys_of(given, elements))
        return Expansion(message.workflow, item, made, rules_with_items(message, len(values)))
    except (ParameterError, ValueError, LookupError, TypeError, RecursionError) as error:
        return Decided(None, encode_error(error))


def with_chain(expansion: Expansion, task: int, followers: Sequence[Follower], flow: str) -> Expansion:
    """The same with those maps that may go along map ``task`` and do: aligned ones of which all is known but
    what their items take."""
    maps, links = {task}, list[Link]()
    count = len(expansion.given.values)
    for one in followers:
        link = _link(one, flow, count) if one.over in maps else None
        if link is not None:
            maps.add(one.task)
            links.append(link)
    return expansion._replace(chain=tuple(links))


def with_taken(expansion: Expansion, task: int, earlier: Sequence[EarlierItem]) -> Expansion:
    """The same, with what its items take over from those that its maps had before (``earlier``: of map
    ``task`` itself)."""
    if not earlier:
        return expansion
    items = items_of(task, 1, expansion.item, expansion.given)
    found = {task: dict(_found(map(input_of_item, items), earlier))}
    taken, count = dict(found[task]), len(expansion.given.values)
    for number, link in enumerate(expansion.chain, start=1):
        item, over = link.along.item, found[link.along.over]
        inputs = (
            input_of(item.program, item.parameters, over[index].seq) if index in over else None
            for index in range(count)
        )
        found[link.along.task] = dict(_found(inputs, link.earlier))
        taken |= {count * number + index: one for index, one in found[link.along.task].items()}
    return expansion._replace(taken=taken)


def _found(inputs: Iterable[str | None], earlier: Sequence[EarlierItem]) -> Iterator[tuple[int, EarlierItem]]:
    for index, one in enumerate(same(inputs, earlier)):
        if one is not None:
            yield index, one


def _link(one: Follower, flow: str, count: int) -> Link | None:
    message, lane = one.message, parse_lane(one.lane)
    given = message.parameters
    over = whole_result(given.get(OVER))
    if lane is None or not is_aligned(given) or given.get(KEYS) or message.reads != {over: one.over}:
        return None
    try:
        rest = resolved({name: value for name, value in given.items() if name != OVER}, _no_value, _no_secret)
        planned = _planned_like(message, lane, TaskPolicy.parse(one.policy))
        item = item_like(planned, rest, (flow, one.task), over)
    except (ParameterError, ValueError, LookupError, TypeError, RecursionError):
        return None  # it says so itself, once it is expanded
    if _size_of_each(item) * count > MAX_GIVEN_BYTES:
        return None
    along = Along(task=one.task, over=one.over, ref=over, item=item)
    return Link(along, rules_with_items(message, count), one.text, one.earlier)


def _planned_like(message: TaskMessage, lane: Lane, policy: TaskPolicy | None) -> PlannedTask:
    """A map as Redis has it, as far as its items follow from that."""
    return PlannedTask(
        seq=0,
        task_seq=message.task_seq,
        program="",
        priority=lane.priority,
        queue=lane.queue,
        retry=policy and policy.retry(message.no_retry_on),
        timeout_ms=(policy and policy.timeout_ms) or None,
        queue_timeout_ms=(policy and policy.queue_timeout_ms) or None,
        units=lane.units,
        max_rounds=message.max_rounds,
        fair_key=lane.fair_key,
        workflow_key=lane.workflow_key,
        program_key=lane.program_key,
        definition=message.definition,
        on_failure=message.on_failure,
        stand_in=message.stand_in,
    )


def _too_much(count: int, each: int, of_list: int) -> str:
    """Why so many items cannot be: each has as much of the map's parameters, and its element of the list."""
    said = (
        f"its {count} items are given {each * count + of_list} bytes together: {of_list} of the list, and"
        f" {each} of parameters {count} times; {MAX_GIVEN_BYTES} may be: "
    )
    if each * count > of_list:
        return f"{said}let the program read what all items have in common, and give them its name or path"
    return f"{said}give them names or paths of what they are to read"


def _size_of_each(item: PlannedTask) -> int:
    """What each item has of this is JSON of so many bytes."""
    stand_in = 0 if item.stand_in is None else len(_encode(item.stand_in))
    return len(_encode(item.parameters)) + stand_in


def rules_with_items(message: TaskMessage, count: int) -> bytes:
    """The rules of a map once it has so many items, as Redis holds them; empty: they stay as they are."""
    if not gives_up_items(message.parameters, message.on_failure):
        return b""
    planned = PlannedTask(
        seq=0,
        task_seq=message.task_seq,
        program=message.program,
        parameters=message.parameters,
        rule=message.rule,
        on_failure=message.on_failure,
        when=message.when,
        stand_in=message.stand_in,
        finally_=message.finally_,
        items=(1, count),
    )
    rules = TaskRules.of(planned)
    return b"" if rules is None else rules.text()


def too_many_failed(message: TaskMessage, count: int, given_up: int) -> Decided | None:
    """The error of a map of which more items were given up than it tolerates; None: they are not more."""
    if not gives_up_items(message.parameters, message.on_failure):
        return None
    most = tolerated(message.parameters, count)
    if given_up <= most:
        return None
    stops = " no other starts;" if stops_items(message.parameters, message.on_failure) else ""
    error = TooManyFailedError(
        f"{given_up:,} of {counted(count, 'item')} {'was' if given_up == 1 else 'were'} given up,"
        f" and {most:,} {are(most)} tolerated:{stops} rerun what failed once it can go well"
    )
    return Decided(None, encode_error(error))


def outcomes(
    ends: Sequence[bytes], payloads: Sequence[bytes | None], reasons: Sequence[bytes], keys: Sequence[str]
) -> bytes:
    """What became of items, as JSON: how each has ended (as Redis has it; empty: with a result), its result
    if it has one, and why it was given up (JSON; empty: it was not). ``keys``: theirs, if they have any."""
    told = (
        b'{"index":%d%b,"status":"%b"%b%b}'
        % (
            index,
            b',"key":' + _encode(keys[index]) if keys else b"",
            _ENDED_AS.get(end, b"ignored"),
            b"" if payload is None else b',"result":' + payload,
            b',"error":' + reason if reason else b"",
        )
        for index, (end, payload, reason) in enumerate(zip(ends, payloads, reasons, strict=True))
    )
    return b"[" + b",".join(told) + b"]"


def keys_again(message: TaskMessage, contents: Mapping[int, bytes | None]) -> list[str]:
    """The keys of a map's items, from what it goes over; [] where they have none, or that is gone."""

    def read(name: str) -> Any:
        content = contents.get(message.reads.get(name, 0))
        if content is None:
            raise NoValueError(name)
        return _decode(content)

    if KEY not in message.parameters:
        return []
    try:
        asked = {OVER: message.parameters[OVER]}
        over = (resolved(asked, read, _no_secret) if message.refs else asked)[OVER]
        return keys_of(message.parameters, elements_of(message.parameters, over))
    except (ParameterError, ValueError, LookupError, TypeError):
        return []


def gathered(items: Iterable[int], payload_of: Callable[[int], bytes | None]) -> bytes:
    """The list of what items came to, as JSON, in their order; ``payload_of`` gives that of one, None: it
    has none, and is left out."""
    found = (payload_of(item) for item in items)
    return b"[" + b",".join(one for one in found if one is not None) + b"]"


def _values(elements: list[Any]) -> list[bytes]:
    if len(elements) > MOST_ITEMS:
        raise ListError(
            f"what the map goes over has {len(elements)} elements; {MOST_ITEMS} may be: put several into one"
            " element, or map a workflow that has a map of its own"
        )
    values = [spelled_out(_encode(one)) for one in elements]
    for index, value in enumerate(values):
        if len(value) > MAX_ITEM_BYTES:
            raise ListError(
                f"element {index} has {len(value)} bytes as JSON; {MAX_ITEM_BYTES} may be: give items names"
                " or paths of what they are to read"
            )
    return values


def _keys(item: PlannedTask, given: Mapping[str, Any], values: Sequence[bytes]) -> list[TaskKeys]:
    """The keys of each item, where its value is one of them."""
    by_value: list[str] = given.get(KEYS, [])
    if not by_value:
        return []
    common = {name: getattr(item, name) for name in TaskKeys.__struct_fields__}
    return [
        TaskKeys(**{**common, **dict.fromkeys(by_value, key_of_value(_decode(value)))}) for value in values
    ]


def _no_value(name: str) -> NoReturn:
    raise NoValueError(name)


def _no_secret(name: str) -> NoReturn:
    raise ParameterError(f"a map is given the secret {name!r}")
