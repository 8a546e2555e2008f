"""What becomes of what is written to the log of one attempt, in whatever pieces; without any store."""

import logging
import os
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flower_engine.model.values.ids import make_flow_id
from flower_engine.task_logs.chunks import FIELD, Chunk, decode_entry, encode_entries
from flower_engine.task_logs.lines import MAX_TEXT_BYTES, Line, Stream, line_text
from flower_engine.transitions.worker_transitions import Claim
from flower_worker.task_logs import attempt_log, written_lines
from flower_worker.task_logs.attempt_log import AttemptLog
from flower_worker.task_logs.child_output import ChildOutput
from flower_worker.task_logs.echo import Echo
from flower_worker.task_logs.frames import encode, sign
from flower_worker.task_logs.line_mask import LineMask
from flower_worker.task_logs.waiting_lines import WaitingLines
from worker.running import eventually

FLOW = make_flow_id(1, 0, 1)
PIECES = st.lists(st.text("ab\n", max_size=6) | st.just("x" * 600), max_size=30)
BYTES = st.lists(st.binary(max_size=6) | st.sampled_from([b"\n", "花".encode()[:1], "花".encode()[1:]]))


def claim(task: int = 1) -> Claim:
    return Claim(lease=b"1-1", member=f"{FLOW}:{task}".encode(), queue=b"q", attempt=1, message=b"{}")


def waiting(most_kept_kb: int = 1024, most_bytes: int = 8 << 20) -> WaitingLines:
    return WaitingLines(most_kept_kb << 10, most_bytes)


def taken(lines: WaitingLines) -> list[Chunk]:
    chunks: list[Chunk] = []
    while some := lines.take():
        for entry in encode_entries(some):
            for chunk in decode_entry({FIELD: entry}):
                assert isinstance(chunk, Chunk)
                chunks.append(chunk)
    return chunks


def lines_of(chunks: list[Chunk]) -> list[Line]:
    return [line for chunk in chunks for line in chunk.lines]


def written(pieces: list[str]) -> list[str]:
    whole = "".join(pieces)
    lines = whole.split("\n")
    return lines if lines[-1] else lines[:-1]


@given(PIECES)
def test_pieces_become_the_lines_that_they_are_together(pieces: list[str]) -> None:
    held = waiting()
    log = AttemptLog(claim(), held)
    for piece in pieces:
        log.write("out", piece)
    log.close()
    assert [line.text for line in lines_of(taken(held))] == written(pieces)


@given(st.lists(st.sampled_from(["take", "record", "one\n", "a", "\n", "two\nlines\n", "x" * 5_000 + "\n"])))
def test_lines_keep_their_order_and_come_once_whenever_they_are_sent(acts: list[str]) -> None:
    held = waiting()
    log = AttemptLog(claim(), held)
    got: list[Line] = []
    for act in acts:
        if act == "take":
            got += lines_of(taken(held))
        elif act == "record":
            log.record(20, "lib", "recorded", 5)
        else:
            log.write("out", act)
    log.close()
    got += lines_of(taken(held))
    assert [line.number for line in got] == list(range(1, len(got) + 1))
    assert sum(line.stream == "log" for line in got) == acts.count("record")
    printed = [act for act in acts if act not in {"take", "record"}]
    assert [line.text for line in got if line.stream == "out"] == written(printed)
    assert held._bytes == 0  # pyright: ignore[reportPrivateUsage]
    assert not held.some.is_set()


@given(BYTES)
def test_bytes_become_text_wherever_they_are_cut(pieces: list[bytes]) -> None:
    held = waiting()
    log = AttemptLog(claim(), held)
    for piece in pieces:
        log.write_bytes("err", piece)
    log.close()
    whole = b"".join(pieces).decode(errors="replace").replace("\0", "\u2400")
    got = [line.text for line in lines_of(taken(held))]
    shown = [line.rstrip("\r").rpartition("\r")[2] for line in written([whole])]
    assert got == shown


@given(st.lists(st.integers(0, 3000), min_size=1, max_size=60), st.integers(1, 40), st.booleans())
def test_of_a_loud_attempt_the_first_and_the_last_part_are_kept(
    lengths: list[int], together: int, in_pieces: bool
) -> None:
    held = waiting(most_kept_kb=8)
    log = AttemptLog(claim(), held)
    texts = [f"{number}:".ljust(length, "x") for number, length in enumerate(lengths)]
    for begin in range(0, len(texts), together):
        piece = "".join(f"{text}\n" for text in texts[begin : begin + together])
        for part in (piece[:7], piece[7:]) if in_pieces else (piece,):
            log.write("out", part)
    log.close()
    chunks = taken(held)
    lines = lines_of(chunks)
    assert [line.text for line in lines] == [texts[line.number - 1] for line in lines]
    assert sum(chunk.skipped for chunk in chunks) + len(lines) == lines[-1].number
    assert sum(len(line.text) + 32 for line in lines) <= 8 << 10
    fitting = sum(len(text) + 32 for text in texts) <= 4 << 10
    if fitting:
        assert len(lines) == len(texts)
    if len(texts[-1]) + 32 <= 4 << 10:
        assert lines[-1].number == len(texts)


def test_records_stand_between_what_is_printed_and_keep_their_lines() -> None:
    held = waiting()
    log = AttemptLog(claim(), held)
    log.write("out", "a\nbegun ")
    log.record(logging.ERROR, "lib", "two\nlines", 5)
    log.write("out", "ended\n")
    log.close()
    got = [(line.number, line.stream, line.level, line.logger, line.text) for line in lines_of(taken(held))]
    assert got == [
        (1, "out", 20, "", "a"),
        (2, "log", 40, "lib", "two\nlines"),
        (3, "out", 20, "", "begun ended"),
    ]


def test_threads_do_not_write_into_each_others_lines() -> None:
    held = waiting()
    log = AttemptLog(claim(), held)
    turn = threading.Barrier(2)

    def write(mark: str) -> None:
        for _ in range(50):
            log.write("out", mark)
            turn.wait()
            log.write("out", f"{mark}\n")

    threads = [threading.Thread(target=write, args=(mark,)) for mark in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.close()
    assert sorted(line.text for line in lines_of(taken(held))) == ["aa"] * 50 + ["bb"] * 50


def test_the_end_of_a_loud_attempt_is_not_sent_before_its_end() -> None:
    held = waiting(most_kept_kb=2)
    log = AttemptLog(claim(), held)
    for number in range(100):
        log.write("out", f"{number}\n")
    first = lines_of(taken(held))
    assert [line.text for line in first] == [str(number) for number in range(len(first))]
    assert taken(held) == []
    log.close()
    (chunk,) = taken(held)
    assert chunk.skipped == chunk.lines[0].number - len(first) - 1 > 0
    assert chunk.lines[-1].text == "99"


def test_what_finds_no_room_is_left_out_and_that_is_said_where_it_was() -> None:
    held = waiting(most_bytes=5_000)
    log = AttemptLog(claim(), held)
    for number in range(100):
        log.write("out", f"{number}\n")
    kept = lines_of(taken(held))
    assert 10 < len(kept) < 100
    assert held.take_dropped() == 100 - len(kept)
    log.write("out", "again\n")
    (chunk,) = taken(held)
    assert (chunk.skipped, chunk.lines[0].number) == (100 - len(kept), 101)
    for number in range(100):
        log.write("out", f"{number}\n")
    log.close()
    *_, last = lines_of(taken(held))
    assert last.stream == "engine"
    assert "lines before are missing" in last.text


def test_lines_that_are_written_at_once_and_find_no_room_are_counted_one_by_one() -> None:
    held = waiting(most_bytes=20_000)
    log = AttemptLog(claim(), held)
    for begin in range(0, 100, 10):
        log.write("out", "".join(f"{number}\n" for number in range(begin, begin + 10)))
    log.close()
    *kept, last = lines_of(taken(held))
    assert [int(line.text) for line in kept] == [line.number - 1 for line in kept]
    assert 0 < len(kept) < 100
    assert held.take_dropped() == 100 - len(kept)
    assert "lines before are missing" in last.text


def test_whoever_waits_for_the_end_of_a_loud_attempt_does_not_make_its_lines(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[bool] = []
    held = waiting()

    def text_of(content: str, size: int = 0) -> str:
        made.append(held.lock._is_owned())  # pyright: ignore # there is no other way to ask
        return line_text(content, size)

    monkeypatch.setattr(written_lines, "line_text", text_of)
    log = AttemptLog(claim(), held)
    for _ in range(100):
        log.write("out", f"{'x' * 99}\n" * 160)
    log.close()
    assert len(made) < 160  # those of the one piece in which the first part became full
    made.clear()
    assert len(lines_of(taken(held))) > 7_000
    assert len(made) > 7_000
    assert not any(made)  # with the lock held, nothing could be written


@pytest.mark.parametrize("how", ["lines", "pieces", "records"])
@pytest.mark.parametrize(("is_loop", "is_loud"), [(False, True), (True, True), (False, False)])
def test_a_loud_thread_rests_now_and_then_so_that_the_event_loop_has_the_interpreter(
    monkeypatch: pytest.MonkeyPatch, how: str, *, is_loop: bool, is_loud: bool
) -> None:
    held = waiting()
    log = AttemptLog(claim(), held)
    rests: list[bool] = []

    def rest(_seconds: float) -> None:
        rests.append(held.lock._is_owned())  # pyright: ignore # there is no other way to ask

    def write() -> None:
        for _ in range(20_000 if is_loud else 2_000):
            if how == "records":
                log.record(20, "lib", "x" * 99, 5)
            elif how == "lines":
                log.write("out", "x" * 99 + "\n")
            else:
                log.write("out", "x" * 99)
                log.write("out", "\n")

    monkeypatch.setattr(attempt_log.time, "sleep", rest)
    if is_loop:
        write()
    else:
        thread = threading.Thread(target=write)
        thread.start()
        thread.join()
    assert not any(rests)  # with the lock held, nothing could be written
    assert (len(rests) > 20) == (is_loud and not is_loop)
    assert is_loud or not rests


def test_where_redis_takes_nothing_many_short_attempts_stay_within_their_memory() -> None:
    held = waiting(most_bytes=50_000)
    for task in range(1, 1_001):
        log = AttemptLog(claim(task), held)
        log.write("out", "\x01" * 200 + "\n")
        log.close()
    assert sum(map(len, held._encoded)) <= 50_000  # pyright: ignore[reportPrivateUsage]
    assert held.dropped > 0
    kept = lines_of(taken(held))
    assert len(kept) + held.take_dropped() >= 1_000
    assert "Redis did not take" in kept[-1].text
    assert held._bytes == 0  # pyright: ignore[reportPrivateUsage]


def test_many_loud_attempts_share_what_memory_there_is_for_their_ends() -> None:
    held = waiting()
    logs = [AttemptLog(claim(task), held) for task in range(1, 101)]
    line = "x" * 10_000 + "\n"
    for _ in range(120):
        for log in logs:
            log.write("out", line)
    assert held._ends_bytes <= 17 << 20  # pyright: ignore[reportPrivateUsage]
    for log in logs:
        log.close()
        taken(held)
    assert held._ends_bytes == 0  # pyright: ignore[reportPrivateUsage]


def test_nothing_is_made_for_an_attempt_that_writes_nothing() -> None:
    held = waiting()
    log = AttemptLog(claim(), held)
    log.close()
    assert not held.some.is_set()
    assert taken(held) == []


SECRET = 'pass"word\nsecond line of it'


@given(st.lists(st.sampled_from(["pass", '"word', "second line ", "of it", "\n", "x"]), max_size=20))
def test_a_secret_is_hidden_however_it_is_cut_and_each_of_its_lines(pieces: list[str]) -> None:
    held = waiting()
    log = AttemptLog(claim(), held)
    log.mask = LineMask([SECRET])
    shown: list[str] = []
    for piece in pieces:
        log.write("out", piece, shown.append)
    log.close()
    whole = "\n".join(line.text for line in lines_of(taken(held))) + "|" + "".join(shown)
    assert 'pass"word' not in whole
    assert "second line of it" not in whole


@pytest.mark.parametrize("before", [0, 1, MAX_TEXT_BYTES - 10, MAX_TEXT_BYTES, MAX_TEXT_BYTES + 5])
def test_no_half_of_a_secret_is_left_where_a_line_is_cut(before: int) -> None:
    held = waiting()
    log = AttemptLog(claim(), held)
    log.mask = LineMask(["0123456789abcdef"])
    log.write("out", "x" * before + "0123456789abcdef" * 3_000 + "\n")
    log.close()
    (line,) = lines_of(taken(held))
    assert "012345" not in line.text


@pytest.mark.parametrize("late", ["too late\n", "too late\nand later\n"])
def test_what_comes_after_the_end_is_logged(late: str, caplog: pytest.LogCaptureFixture) -> None:
    held = waiting()
    log = AttemptLog(claim(), held)
    log.write("out", "in time\n")
    log.close()
    log.write("err", late)
    log.close()
    assert [line.text for line in lines_of(taken(held))] == ["in time"]
    said = [record.getMessage() for record in caplog.records]
    assert said[0] == f"flow {FLOW} task 1 attempt 1 wrote (err) after its outcome: too late"
    assert len(said) == late.count("\n")


class Silent(Echo):
    def show(self, stream: Stream, piece: bytes) -> None:
        """Not in the output of the tests."""


def _frame(output: ChildOutput, text: str) -> bytes:
    return encode(sign(output.token), 7, 30, "lib", text)


async def test_frames_are_found_wherever_the_pipe_is_cut() -> None:
    for size in (1, 2, 3, 7, 100):
        held = waiting()
        log, output = AttemptLog(claim(), held), ChildOutput(Silent())
        try:
            output.begin(log)
            whole = b"one\nbegun " + _frame(output, "a\nb") + _frame(output, "c") + b"ended\n"
            whole += b"\x1eno frame\n" + sign(output.token) + b"no frame, either\n" + b"\x1e"
            for begin in range(0, len(whole), size):
                os.write(output.child_ends[0], whole[begin : begin + size])
                output.end()
            log.close()
        finally:
            output.close()
        found = [(line.stream, line.text) for line in lines_of(taken(held))]
        if size == 100:
            assert found[:4] == [("out", "one"), ("log", "a\nb"), ("log", "c"), ("out", "begun ended")]


async def test_a_child_is_listened_to_and_its_end_is_noticed() -> None:
    held = waiting()
    log, output = AttemptLog(claim(), held), ChildOutput(Silent())
    ends = [os.dup(end) for end in output.child_ends]
    output.begin(log)
    output.listen()
    os.write(ends[0], b"out\n" + _frame(output, "logged"))
    os.write(ends[1], b"err\n")
    await eventually(lambda: held.some.is_set() and len(held._whose) > 0)  # pyright: ignore[reportPrivateUsage]
    output.end()
    for end in ends:
        os.close(end)
    await eventually(lambda: not output.is_open)
    log.close()
    assert {line.text for line in lines_of(taken(held))} == {"out", "logged", "err"}


def test_a_line_longer_than_the_last_part_may_be_is_counted_and_what_follows_is_kept() -> None:
    held = waiting(most_kept_kb=2)
    log = AttemptLog(claim(), held)
    for _ in range(60):
        log.write("out", "first part\n")
    log.write("out", "x" * 10_000 + "\n")
    log.write("out", "after\n")
    log.close()
    *_, last = lines_of(taken(held))
    assert (last.number, last.text) == (62, "after")
