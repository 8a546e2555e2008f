"""What addresses of clusters and sentinels say, and what is wrong with those that say nothing."""

import pytest

from flower_engine.log.server_addresses import parse_addresses
from flower_engine.runtime.store_addresses import check_redis_url


def test_an_address_of_a_cluster_names_nodes_and_what_a_connection_to_each_needs() -> None:
    found = parse_addresses("rediss+cluster://me:p%40ss@a:7000,b,[::1]:7002?ssl_ca_certs=/ca.pem")
    assert found.kind == "cluster"
    assert found.hosts == (("a", 7000), ("b", 6379), ("::1", 7002))
    assert found.url == "rediss://me:p%40ss@a:7000/0?ssl_ca_certs=%2Fca.pem"
    assert found.asked_url == found.url


def test_an_address_of_sentinels_has_the_primarys_name_and_credentials_of_their_own() -> None:
    found = parse_addresses(
        "redis+sentinel://me:word@a,b:26380/mymaster/2?sentinel_username=s&sentinel_password=x%2Fy"
    )
    assert found.kind == "sentinel"
    assert found.hosts == (("a", 26379), ("b", 26380))
    assert found.name == "mymaster"
    assert found.url == "redis://me:word@a:26379/2"
    assert found.asked_url == "redis://s:x%2Fy@a:26379/0"
    assert parse_addresses("redis+sentinel://a/mymaster").url == "redis://a:26379/0"


def test_sentinels_without_credentials_of_their_own_are_asked_without_any() -> None:
    assert parse_addresses("redis+sentinel://me:word@a/m").asked_url == "redis://a:26379/0"


def test_every_other_address_is_that_of_one_server() -> None:
    for url in ("redis://h:1/0", "unix:///run/redis.sock", "rediss://u:p@h"):
        assert parse_addresses(url).kind == "single"
        assert parse_addresses(url).url == url


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("redis+cluster://a/1", "database 0 alone"),
        ("redis+cluster://", "host:port"),
        ("redis+cluster://a,", "host:port"),
        ("redis+cluster://a:0", "port 0"),
        ("redis+cluster://a:99999", "port 99999"),
        ("redis+cluster://u:p@ss@a", "%40"),
        ("redis+cluster://u:p#ss@a", "%23"),
        ("redis+sentinel://a", "mymaster/0"),
        ("redis+sentinel://a/mymaster/x", "mymaster/0"),
        ("redis+cluster://a?colour=red", "colour"),
        ("redis+cluster://a?protocol=3", "Flower's to set"),
        ("rediss+cluster://a?ssl_cert_reqs=maybe", "cannot be used"),
        ("redis://a:1,b:2/0", "redis+cluster://"),
        ("http://a", "redis+sentinel://"),
    ],
)
def test_what_cannot_be_used_says_why_and_shows_no_password(url: str, why: str) -> None:
    with pytest.raises(ValueError, match=r"\w") as refused:
        check_redis_url(url)
    assert why in str(refused.value)
    assert "p@ss" not in str(refused.value)
    assert "p#ss" not in str(refused.value)


def test_what_can_be_used_is_taken() -> None:
    for url in (
        "redis+cluster://h1,h2,h3",
        "rediss+cluster://u:p@h1:1,h2:2?ssl_ca_certs=/ca",
        "redis+sentinel://s1,s2,s3/mymaster/0",
        "rediss+sentinel://u:p@s1/mymaster?sentinel_password=q",
    ):
        check_redis_url(url)
