"""Lines and chunks of task logs: whatever a program writes becomes text that every store takes, and whatever
stands in the stream is read without an exception."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flower_engine.log.keys import Keys
from flower_engine.secrets import learn_secrets
from flower_engine.task_logs.chunks import (
    FIELD,
    MAX_ENTRY_BYTES,
    BadChunk,
    Chunk,
    decode_entry,
    encode_chunk,
    encode_entries,
    encode_only_line,
    without_secrets,
)
from flower_engine.task_logs.lines import (
    MAX_LEVEL,
    MAX_LOGGER_CHARACTERS,
    MAX_TEXT_BYTES,
    Line,
    line_level,
    line_text,
    logger_name,
)

FLOW = "018f3c5e-7a10-7000-b000-000000000001"
ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=()), max_size=50)


class Rude(str):
    __slots__ = ()

    def __str__(self) -> str:
        raise RuntimeError("no text of mine")

    def replace(self, *_: object, **__: object) -> str:  # pyright: ignore[reportIncompatibleMethodOverride]
        raise RuntimeError("nothing of mine is replaced")


def line(number: int, text: str = "a") -> Line:
    return Line(number, 1_700_000_000_000 + number, "out", 20, "", text)


def lines(count: int, text: str = "a") -> list[Line]:
    return [line(number, text) for number in range(1, count + 1)]


def travelled(*chunks: Chunk) -> list[Chunk | BadChunk]:
    return [got for entry in encode_entries(chunks) for got in decode_entry({FIELD: entry})]


@given(ANY_TEXT | st.binary(max_size=50))
def test_whatever_is_written_becomes_text_that_travels(written: str | bytes) -> None:
    text = line_text(written)
    assert "\0" not in text
    chunk = Chunk(FLOW, 1, 1, [line(1, text)])
    assert travelled(chunk) == [chunk]


@pytest.mark.parametrize("text", ["", "plain", "two\nlines\tand \x1b[31mred", "schön, 花"])
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert line_text(text) == line_text(text.encode()) == text


def test_what_is_no_text_is_shown() -> None:
    assert line_text("a\0b") == line_text(b"a\0b") == "a\u2400b"
    assert line_text("a\udc80b") == line_text(b"a\x80b") == "a\ufffdb"
    assert line_text(Rude("plain")) == "plain"
    assert line_text(Rude("a\0b")) == "a\u2400b"


@pytest.mark.parametrize("character", ["a", "\0", "\x01", "ä", "花", "\U0001f33c", "\udc80", '"', "\\", "\n"])
@pytest.mark.parametrize("count", [MAX_TEXT_BYTES // 3, MAX_TEXT_BYTES, MAX_TEXT_BYTES + 1, 1_000_000])
def test_a_long_line_is_cut_and_says_so(character: str, count: int) -> None:
    text = line_text(character * count)
    assert len(text.encode()) <= MAX_TEXT_BYTES
    if count > MAX_TEXT_BYTES:
        assert text.endswith(f" ... [cut: the line has {count} characters]")
    chunk = Chunk(FLOW, 1, 1, [line(1, text)])
    (entry,) = encode_entries([chunk])
    assert len(entry) <= MAX_ENTRY_BYTES
    assert decode_entry({FIELD: entry}) == [chunk]


def test_bytes_are_cut_as_well_and_a_beginning_says_how_long_the_whole_is() -> None:
    assert line_text(b"\xff" * 1_000_000).endswith(" ... [cut: the line has 1000000 bytes]")
    assert line_text("ab", 7_000_000).startswith("ab ... ")
    assert line_text(b"ab", 7_000_000).endswith("[cut: the line has 7000000 bytes]")


def test_levels_and_names_of_loggers_fit() -> None:
    assert [line_level(level) for level in (-5, 20, 10**9)] == [0, 20, MAX_LEVEL]
    assert logger_name("a.b") == "a.b"
    assert len(logger_name("x" * 10_000)) == MAX_LOGGER_CHARACTERS
    assert logger_name("a\0\udc80") == "a\u2400\ufffd"
    assert logger_name(Rude("a")) == "a"


def test_many_small_chunks_share_an_entry() -> None:
    chunks = [Chunk(FLOW, task, 1, lines(1, "x" * 80)) for task in range(1, 1001)]
    entries = list(encode_entries(chunks))
    assert len(entries) < 10
    assert max(map(len, entries)) <= MAX_ENTRY_BYTES
    assert travelled(*chunks) == chunks


def test_a_chunk_too_long_for_an_entry_becomes_several() -> None:
    chunk = Chunk(FLOW, 1, 2, lines(100, "x" * 10_000), skipped=7)
    got = travelled(chunk)
    parts = [part for part in got if isinstance(part, Chunk)]
    assert len(parts) == len(got) > 1
    assert [one for part in parts for one in part.lines] == chunk.lines
    assert [part.skipped for part in parts] == [7] + [0] * (len(parts) - 1)
    assert max(len(entry) for entry in encode_entries([chunk])) <= MAX_ENTRY_BYTES


@given(ANY_TEXT)
def test_the_only_line_of_an_attempt_is_encoded_as_a_chunk_of_one_is(written: str) -> None:
    only = line(1, line_text(written))
    encoded = encode_only_line(FLOW.encode(), b"12", 3, only)
    assert encoded == encode_chunk(Chunk(FLOW, 12, 3, [only]))


@pytest.mark.parametrize("secret", ["k3y-of-the-house", 'k3y "of" the house', "k3y\\of\\the\\house"])
@pytest.mark.parametrize("written", ["{}", "a={} b", 'in "quotes" {}', "two\nlines {}\n", "花 {} 花", "\t{}"])
def test_an_own_secret_is_hidden_in_every_line_of_an_entry(secret: str, written: str) -> None:
    learn_secrets([secret])
    texts = ["before", written.format(secret), "after"]
    given = [Chunk(FLOW, task, 1, [line(1, text)], task) for task, text in enumerate(texts, start=1)]
    entries = [one for entry in encode_entries(given) for one in without_secrets(entry)]
    got = [chunk for entry in entries for chunk in decode_entry({FIELD: entry})]
    texts[1] = written.format("***")
    assert got == [Chunk(FLOW, task, 1, [line(1, text)], task) for task, text in enumerate(texts, start=1)]


def test_an_entry_without_a_secret_stays_as_it_is() -> None:
    for text in ("plain", 'with "quotes" and \\'):
        (entry,) = encode_entries([Chunk(FLOW, 1, 1, [line(1, text)])])
        assert list(without_secrets(entry)) == [entry]


def test_nothing_to_send_is_no_entry() -> None:
    assert list(encode_entries([])) == []


GOOD = msgspec.json.encode(Chunk(FLOW, 1, 1, lines(2)))


@pytest.mark.parametrize(
    "bad",
    [
        b"1",
        b"{}",
        b"[]",
        b'["f",1,1,[[1,1,"out",20,"","a"]]]',
        GOOD.replace(b"-7000-", b"-4000-"),
        GOOD.replace(b'"out"', b'"in"'),
        GOOD.replace(b'"a"', b"5"),
        GOOD.replace(b'"a"', b'"\\u0000"', 1),
        GOOD.replace(b'"a"', b'"\xff"', 1),
        GOOD.replace(b'"a"', b'"\\ud800"', 1),
        GOOD.replace(b"[2,", b"[3,"),
        GOOD.replace(b"[1,17", b"[0,17"),
        GOOD.replace(b",20,", b",99999999999999999999999,"),
        msgspec.json.encode([FLOW, 1, 1, []]),
        msgspec.json.encode([FLOW, 0, 1, [[1, 1, "out", 20, "", "a"]]]),
        msgspec.json.encode([FLOW, 1 << 40, 1, [[1, 1, "out", 20, "", "a"]]]),
        msgspec.json.encode([FLOW, 1, 1, [[1, 1, "out", 20, "", "a"]], -1]),
        msgspec.json.encode([FLOW, 1, 1, [[1, 1, "out", 20, "", "a" * (MAX_TEXT_BYTES + 1)]]]),
    ],
)
def test_a_chunk_that_is_none_takes_no_other_with_it(bad: bytes) -> None:
    got = decode_entry({FIELD: b"[" + GOOD + b"," + bad + b"," + GOOD + b"]"})
    assert [type(one) for one in got] in (
        [Chunk, BadChunk, Chunk],
        [BadChunk],  # what is no JSON leaves nothing of the entry
    )
    assert all(one.why for one in got if isinstance(one, BadChunk))


@given(st.binary(max_size=200) | st.text(max_size=100).map(str.encode) | st.just(b"[" * 100_000))
def test_whatever_stands_in_an_entry_is_read_without_an_exception(raw: bytes) -> None:
    assert all(isinstance(one, BadChunk) for one in decode_entry({FIELD: raw}))


def test_an_entry_of_somebody_else_is_said_to_be_none() -> None:
    (bad,) = decode_entry({b"x": b"1"})
    assert bad == BadChunk("the entry has no field c")
    (bad,) = decode_entry({FIELD: b" " * 10_000_000})
    assert isinstance(bad, BadChunk)
    assert "10000000 bytes" in bad.why


def test_the_stream_lies_beside_its_partition() -> None:
    assert Keys(7).tasklog == "{flower:7}:tasklog"
