"""Dry runs that an API of the version before answers are read by what is newer."""

import msgspec

from flower_cli.commands.bulk import _effect_of  # pyright: ignore[reportPrivateUsage]
from flower_engine.client.flow_values import Operated

OF_BULK = ("runs", "reopens", "passedOver", "vanished", "matched", "cutOff", "cleanup", "within")


def test_flower_bulk_reads_effects_without_what_came_later() -> None:
    effect = {**dict.fromkeys(OF_BULK, 0), "runs": 2, "ends": False, "elsewhere": 0}
    assert _effect_of({"did": "rerun", "effect": effect}) == "2 tasks will run again"


def test_a_client_reads_that_there_is_more_in_a_tree_without_how_much() -> None:
    told = b'{"taskFlowId":"f","operation":"cancel","version":3,"tasks":[],"moreInTree":true}'
    assert msgspec.json.decode(told, type=Operated).more_in_tree
