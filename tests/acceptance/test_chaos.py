"""Half a minute of storm over everything; ``make chaos`` makes longer ones."""

from pathlib import Path

from chaos.running import run

SEED = 20_261_127


def test_after_a_storm_every_flow_ends_and_every_invariant_holds(tmp_path: Path) -> None:
    outcome = run(
        tmp_path, seconds=30, seed=SEED, say=print, anew=False, flows_at_least=50, harms_at_least=10
    )
    assert outcome.problems == []
    assert outcome.flows >= 50
    assert sum(outcome.harms.values()) >= 10
