"""``flower open``: the address of the dashboard, and a browser that is sent there."""

import webbrowser

import pytest

from cli.flower_command import Flower


@pytest.fixture(autouse=True)
def browser(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Where the browser was sent."""
    found: list[str] = []
    monkeypatch.setattr(webbrowser, "open", found.append)
    return found


def test_the_dashboard_is_opened_and_its_address_printed(flower: Flower, browser: list[str]) -> None:
    done = flower("open")
    assert done.exit_code == 0, done.output
    assert browser == [done.stdout.strip()]
    assert browser[0].startswith("http://127.0.0.1:")
    assert browser[0].endswith("/")


def test_a_flow_is_opened_by_its_id(flower: Flower, browser: list[str]) -> None:
    flow = "01a0c450-6c00-7000-8000-000000000057"
    done = flower("open", flow, "--print")
    assert done.exit_code == 0, done.output
    assert done.stdout.strip().endswith(f"/#/flows/{flow}")
    assert browser == []


def test_where_no_api_answers_nothing_is_opened(flower: Flower, browser: list[str]) -> None:
    done = flower("open", "--url", "http://127.0.0.1:9")
    assert done.exit_code == 5
    assert browser == []
