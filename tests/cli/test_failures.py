"""Of a traceback people see the frames of their own code."""

from flower_cli.commands.failures import people_frames

OWN = '  File "/srv/people/programs.py", line 3, in load\n    fetch(table)\n    ^^^^^^^^^^^^'
LIBRARY = '  File "/srv/.venv/lib/python3.11/site-packages/client.py", line 9, in fetch\n    raise OSError'
PYTHON = '  File "/usr/lib/python3.11/json/decoder.py", line 355, in raw_decode'
ENGINE = '  File "/srv/flower/shared/flower_engine/programs/context.py", line 57, in progress\n    tell()'
HEAD = "Traceback (most recent call last):"
BETWEEN = "\nThe above exception was the direct cause of the following exception:\n"


def text(*parts: str) -> str:
    return "\n".join(parts)


def test_frames_of_libraries_python_and_flower_are_left_out() -> None:
    whole = text(HEAD, OWN, LIBRARY, PYTHON, OWN, ENGINE, "OSError: no")
    assert people_frames(whole) == (text(HEAD, OWN, OWN, "OSError: no"), 3)


def test_a_cause_within_a_library_keeps_its_line() -> None:
    whole = text(HEAD, LIBRARY, "OSError: no", BETWEEN, HEAD, OWN, "LookupError: x")
    assert people_frames(whole) == (text("OSError: no", BETWEEN, HEAD, OWN, "LookupError: x"), 1)


def test_members_of_a_group_are_filtered_within_their_margin() -> None:
    def margin(part: str) -> str:
        return "\n".join(f"    | {line}" for line in part.splitlines())

    whole = text(
        *("  + Exception Group Traceback (most recent call last):", "  | ExceptionGroup: several (1)"),
        *("  +-+---------------- 1 ----------------", margin(HEAD), margin(OWN), margin(LIBRARY)),
        *(margin("ValueError: x"), "    +------------------------------------"),
    )
    kept, left_out = people_frames(whole)
    assert left_out == 1 and "client.py" not in kept
    assert margin(OWN) in kept and margin("ValueError: x") in kept


def test_what_is_no_traceback_stays_as_it_is() -> None:
    assert people_frames("line 1\nline 2") == ("line 1\nline 2", 0)
    assert people_frames("") == ("", 0)
