"""What errors mean: the store is away, refuses for good, or fails in a way that nobody expects."""

import logging

import psycopg
import pytest
from redis import exceptions as redis_errors

from flower_engine.runtime.backoff import StoreBackoff
from flower_engine.store_faults import Kind, fault_of, sentence_of

AWAY = [
    redis_errors.ConnectionError("Error 111 connecting to 127.0.0.1:6379. Connection refused."),
    redis_errors.ConnectionError("max number of clients reached"),
    redis_errors.TimeoutError("Timeout reading from socket"),
    redis_errors.BusyLoadingError("Redis is loading the dataset in memory"),
    redis_errors.ReadOnlyError("You can't write against a read only replica."),
    redis_errors.OutOfMemoryError("command not allowed when used memory > 'maxmemory'."),
    redis_errors.ResponseError("MISCONF Errors writing to the AOF file: No space left on device"),
    redis_errors.ResponseError("READONLY You can't write against a read only replica. script: 0f"),
    psycopg.OperationalError("connection to server at \"127.0.0.1\" failed: Connection refused"),
    psycopg.OperationalError("FATAL:  the database system is starting up"),
    psycopg.OperationalError("FATAL:  sorry, too many clients already"),
    psycopg.errors.DiskFull("could not extend file"),
    psycopg.errors.UndefinedTable('relation "kr_flow_stat" does not exist'),
    OSError("Name or service not known"),
    TimeoutError(),
]  # fmt: skip
REFUSED = [
    (redis_errors.AuthenticationError("invalid username-password pair or user is disabled."), "password"),
    (redis_errors.AuthenticationError("Authentication required."), "password"),
    (redis_errors.NoPermissionError("no permissions to run the 'memory|usage' command"), "permission"),
    (redis_errors.ResponseError("ACL failure in script: the 'zadd' command"), "permission"),
    (redis_errors.ResponseError("The user executing the script can't run this command"), "permission"),
    (redis_errors.MovedError("3999 127.0.0.1:6381"), "cluster"),
    (redis_errors.ResponseError("SELECT is not allowed in cluster mode"), "cluster"),
    (redis_errors.ResponseError("unknown command 'WAITAOF', with args beginning with: '1'"), "Redis 7.0"),
    (redis_errors.ResponseError("Unknown Redis command called from script script: 0f"), "Redis 7.0"),
    (redis_errors.ResponseError("DB index is out of range"), "database"),
    (redis_errors.InvalidResponse("Protocol Error: b'HTTP/1.1 400 Bad Request'"), "no Redis"),
    (psycopg.errors.InvalidPassword("nein"), "password"),
    (psycopg.errors.InvalidAuthorizationSpecification("nein"), "password"),
    (psycopg.errors.InvalidCatalogName("nein"), "createdb"),
    (psycopg.errors.InsufficientPrivilege("nein"), "GRANT"),
    (psycopg.OperationalError('FATAL:  password authentication failed for user "bob"'), "password"),
    (psycopg.OperationalError('FATAL:  database "nodb" does not exist'), "createdb"),
    (psycopg.OperationalError('FATAL:  no pg_hba.conf entry for host "[local]", user "bob"'), "pg_hba.conf"),
]  # fmt: skip
FAILED = [
    redis_errors.ResponseError("value is not an integer or out of range script: 0f, on @user_script:7."),
    psycopg.errors.UndefinedColumn("nein"),
    psycopg.errors.NumericValueOutOfRange("nein"),
]


@pytest.mark.parametrize("error", AWAY, ids=repr)
def test_what_waiting_may_heal(error: Exception) -> None:
    fault = fault_of(error)
    assert fault.kind is Kind.AWAY
    assert ("takes no writes now" if fault.what else "does not answer") in sentence_of(error)


def test_what_answers_and_takes_no_writes_is_said_as_that() -> None:
    for error, word in (
        (redis_errors.ReadOnlyError("You can't write against a read only replica."), "REPLICAOF NO ONE"),
        (redis_errors.ResponseError("READONLY You can't write against a read only replica."), "replica"),
        (redis_errors.OutOfMemoryError("command not allowed when used memory > 'maxmemory'."), "maxmemory"),
        (redis_errors.ResponseError("MISCONF Errors writing to the AOF file: No space left"), "disk"),
        (psycopg.errors.ReadOnlySqlTransaction("cannot execute UPDATE"), "Promote it"),
    ):
        fault = fault_of(error)
        assert (fault.kind, word in fault.what) == (Kind.AWAY, True), error


@pytest.mark.parametrize(("error", "word"), REFUSED, ids=repr)
def test_what_no_waiting_heals_says_what_to_do(error: Exception, word: str) -> None:
    fault = fault_of(error)
    assert fault.kind is Kind.REFUSED
    assert word in fault.what
    assert "no waiting heals" in sentence_of(error)
    assert " ".join(str(error).split()) in sentence_of(error)


@pytest.mark.parametrize("error", FAILED, ids=repr)
def test_what_nobody_expects_is_said_as_it_is(error: Exception) -> None:
    assert fault_of(error).kind is Kind.FAILED
    assert "answers with an error" in sentence_of(error)


def test_a_refusal_is_said_once_per_change_and_tried_slowly(caplog: pytest.LogCaptureFixture) -> None:
    backoff = StoreBackoff(logging.getLogger("any"), "Redis")
    away, moved, password = AWAY[0], REFUSED[5][0], REFUSED[0][0]
    first = backoff.failed(away)
    for _ in range(3):
        assert backoff.failed(password) > 10 * first
    for _ in range(3):
        backoff.failed(moved)
    backoff.failed(away)
    backoff.worked()
    backoff.failed(password)
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 6, said
    for line, words in zip(
        said,
        ["does not answer", "password", "cluster", "does not answer", "answers again", "password"],
        strict=True,
    ):
        assert words in line
    assert [record.levelname for record in caplog.records][:2] == ["WARNING", "ERROR"]
