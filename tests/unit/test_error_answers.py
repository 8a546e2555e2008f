"""Every error of the engine has an answer of the API, or a reason why no call can meet it."""

from collections.abc import Iterator

import pytest

from flower_api.error_answers import ANSWERS, NEVER_ANSWERED, problem_of
from flower_engine import errors
from flower_engine.errors import FlowerError


def _all(kind: type[FlowerError]) -> Iterator[type[FlowerError]]:
    for one in kind.__subclasses__():
        if one.__module__ == errors.__name__:
            yield one
            yield from _all(one)


@pytest.mark.parametrize("kind", list(_all(FlowerError)), ids=lambda kind: kind.__name__)
def test_each_error_is_answered_or_it_is_said_why_not(kind: type[FlowerError]) -> None:
    is_answered = any(one in ANSWERS for one in kind.__mro__)
    is_excepted = any(one in NEVER_ANSWERED for one in kind.__mro__)
    assert is_answered != is_excepted, f"{kind.__name__} needs an entry in flower_api/error_answers.py"


def test_an_error_is_answered_as_the_nearest_one_it_derives_from() -> None:
    found = [
        problem_of(errors.MovedError("moved on")),
        problem_of(errors.PrunedError("f", 1)),
        problem_of(errors.PostgresBehindError("behind")),
        problem_of(errors.HomeInUseError("in use")),
        problem_of(errors.FlowerError("nobody knows this")),
    ]
    kinds = [(problem.status_code, problem.kind) for problem in found]
    assert kinds == [
        (409, "moved"),
        (409, "pruning"),
        (503, "redis-lost"),
        (503, "store-unavailable"),
        (500, "bug"),
    ]


def test_passwords_that_a_store_repeats_are_not_answered() -> None:
    error = errors.StoreUnavailableError("Postgres", "postgresql://flower:s3cr3tpassword@host/x refuses")
    assert "s3cr3tpassword" not in problem_of(error).detail
