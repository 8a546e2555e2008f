"""Cron expressions of every form there is, for Hypothesis."""

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from schedules.oracle import DAYS, MONTHS


def _case(names: list[str]) -> SearchStrategy[str]:
    return st.sampled_from([*names, *(name.lower() for name in names), *(name.title() for name in names)])


def _terms(low: int, high: int, likely: list[int], names: list[str] | None = None) -> SearchStrategy[str]:
    number = st.one_of(st.sampled_from(likely), st.integers(low, high))
    pairs = st.tuples(number, number).map(sorted)
    step = st.integers(1, high)
    one = [
        number.map(str),
        pairs.map(lambda pair: f"{pair[0]}-{pair[1]}"),
        st.tuples(pairs, step).map(lambda both: f"{both[0][0]}-{both[0][1]}/{both[1]}"),
        st.tuples(number, step).map(lambda both: f"{both[0]}/{both[1]}"),
        step.map(lambda number: f"*/{number}"),
        st.just("*"),
    ]
    return st.one_of(*one, *([_case(names)] if names else []))


def _lists(term: SearchStrategy[str]) -> SearchStrategy[str]:
    return st.one_of(term, term, st.lists(term, min_size=2, max_size=3).map(",".join))


_SECONDS = st.lists(st.integers(0, 59), min_size=1, max_size=3).map(
    lambda some: ",".join(map(str, some))
) | st.sampled_from(["*/15", "5/20", "10-40/10", "0-1", "*/59"])
_MINUTES = _lists(_terms(0, 59, [0, 1, 15, 30, 45, 59]))
_HOURS = _lists(_terms(0, 23, [0, 1, 2, 3, 23])) | st.sampled_from(["*", "0-23", "1-3", "*/6", "*/2"])
_DAYS_OF_MONTH = st.just("*") | _lists(_terms(1, 31, [1, 28, 29, 30, 31]) | st.sampled_from(["L", "LW", "l"]))
_MONTHS = st.just("*") | _lists(_terms(1, 12, [3, 4, 10, 11], MONTHS))
_WEEKDAY = st.integers(0, 7).map(str) | _case(DAYS)
_DAYS_OF_WEEK = st.just("*") | _lists(
    st.one_of(
        _terms(0, 7, [0, 6, 7], DAYS),
        st.sampled_from(["MON-FRI", "mon-fri", "THU-SAT", "SUN-TUE"]),
        st.tuples(_WEEKDAY, st.integers(1, 5)).map(lambda both: f"{both[0]}#{both[1]}"),
        st.integers(0, 7).map(lambda day: f"{day}L"),
    )
)
_FIELDS = (_MINUTES, _HOURS, _DAYS_OF_MONTH, _MONTHS, _DAYS_OF_WEEK)
EXPRESSIONS: SearchStrategy[str] = st.one_of(
    st.tuples(*_FIELDS), st.tuples(*_FIELDS), st.tuples(_SECONDS, *_FIELDS)
).map(" ".join)
