"""A workflow in Python becomes a definition: its tasks, names, edges, parameters and what it returns."""

import importlib
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from authoring.in_process import definition_of
from authoring.sample import (
    Address,
    Colour,
    File,
    Model,
    Options,
    Point,
    Total,
    add,
    anything,
    clean,
    count,
    list_files,
    old_style,
    typed,
)
from flower_engine import DefinitionError, RetryPolicy, Secret, Workflow, secret, text, workflow
from flower_engine.authoring.step_names import UniqueNames
from flower_engine.model.definitions.definition import plan_flow
from flower_engine.model.parameters.references import scan, scan_parameters


@workflow("nightly", timeout="6h", labels={"team": "dwh"})
def nightly(day: date, threshold: int = 50) -> Total:
    """Counts the files of a day."""
    files = list_files.having(retry=RetryPolicy(5, delay="10s"), timeout="5m").step(day)
    cleaned = clean.step()
    first = count.having(after=[cleaned], queue="big", priority=-5, units=3).step(files[0], strict=True)
    return add.having(queue_timeout=timedelta(hours=1)).step([first, threshold])


def tasks_of(definition: Workflow[Any, Any]) -> list[dict[str, Any]]:
    document = definition.document()
    definition_of(document)  # a registration would take it
    return document["tasks"]


def parameters_of(definition: Workflow[Any, Any], index: int = -1) -> dict[str, Any]:
    return tasks_of(definition)[index].get("parameters", {})


def test_the_document_is_a_definition() -> None:
    retry = {"maxAttempts": 5, "delaySeconds": 10, "backoff": 2.0, "maxDelaySeconds": 300, "jitter": 0.1}
    assert nightly.document() == {
        "taskId": "nightly",
        "description": "Counts the files of a day.",
        "labels": {"team": "dwh"},
        "timeoutSeconds": 21600,
        "parametersSchema": {
            "type": "object",
            "properties": {
                "day": {"type": "string", "format": "date"},
                "threshold": {"type": "integer", "default": 50},
            },
            "required": ["day"],
            "additionalProperties": False,
        },
        "returns": {"$from": "Sample_add"},
        "tasks": [
            {
                "taskSeq": 1,
                "taskName": "files",
                "program": "Sample.list",
                "parameters": {"day": {"$param": "day"}},
                "dependsOn": [],
                "retry": {**retry, "noRetryOn": []},
                "timeoutSeconds": 300,
            },
            {"taskSeq": 2, "taskName": "cleaned", "program": "Sample.clean", "dependsOn": []},
            {
                "taskSeq": 3,
                "taskName": "first",
                "program": "Sample.count",
                "parameters": {"file": {"$from": "files", "path": "/0"}, "strict": True},
                "dependsOn": ["files", "cleaned"],
                "queue": "big",
                "taskPriority": -5,
                "units": 3,
            },
            {
                "taskSeq": 4,
                "taskName": "Sample_add",
                "program": "Sample.add",
                "parameters": {"numbers": [{"$from": "first"}, {"$param": "threshold"}]},
                "dependsOn": ["first"],
                "queueTimeoutSeconds": 3600,
            },
        ],
    }


def test_references_of_a_document_are_right_ones() -> None:
    for task in tasks_of(nightly):
        assert scan_parameters(task.get("parameters", {})).problems == []
    assert scan(nightly.document()["returns"]).problems == []


def test_a_document_is_taken_by_the_model() -> None:
    definition = definition_of(nightly.document())
    assert [task.task_name for task in plan_flow(definition)] == ["files", "cleaned", "first", "Sample_add"]
    assert (definition.labels, definition.description) == ({"team": "dwh"}, "Counts the files of a day.")
    assert definition.returns == {"$from": "Sample_add"}


def test_a_body_runs_once_and_whoever_gets_a_document_may_change_it() -> None:
    runs: list[int] = []

    @workflow("once")
    def once() -> None:
        runs.append(1)
        clean.step()

    assert runs == []
    once.document()["tasks"].clear()
    assert len(once.document()["tasks"]) == 1
    assert runs == [1]


def test_tasks_are_named_as_their_variables_else_as_their_programs_and_uniquely() -> None:
    @workflow("names")
    def names(day: date) -> None:
        files = list_files.having(timeout="1m").step(day)
        several: int = count.step(files[0])
        anything.step(walrus := count.step(files[0]))
        chained = (
            # a chain over several lines
            count.having(timeout="1m")
            .having(priority=1)
            .step(
                files[0],
            )
        )
        add.step([count.step(files[index]) for index in range(2)] + [several, walrus, chained])
        pinned = count.having(name="by_name").step(files[0])
        files = list_files.step(day)
        anything.step(pinned)

    assert [task["taskName"] for task in tasks_of(names)] == [
        *("files", "several", "walrus", "Sample_anything", "chained", "Sample_count", "Sample_count_2"),
        *("Sample_add", "by_name", "files_2", "Sample_anything_2"),
    ]


def test_a_module_that_is_written_anew_is_read_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = tmp_path / "written_anew.py"
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def names(*steps: str) -> list[str]:
        body = "".join(f"    {step}\n" for step in steps)
        written.write_text(
            "from authoring.sample import add, clean\nfrom flower_engine import workflow\n"
            f"@workflow\ndef written_anew():\n{body}"
        )
        importlib.invalidate_caches()
        sys.modules.pop("written_anew", None)
        made = importlib.import_module("written_anew").written_anew
        return [task["taskName"] for task in tasks_of(made)]

    try:
        assert names("tidy = clean.step()") == ["tidy"]
        assert names("", "first = clean.step()", "second = clean.step()") == ["first", "second"]
        assert names("", "other = clean.step()", "third_one = clean.step()") == ["other", "third_one"]
        with pytest.raises(DefinitionError, match=r"written_anew\.py:8"):
            names("", "total = add.step([1])", "", "assert total is None")
        assert names("total = add.step([1])", "checked = clean.step()") == ["total", "checked"]
    finally:
        sys.modules.pop("written_anew", None)


def test_without_source_tasks_are_named_as_their_programs() -> None:
    made: dict[str, Any] = {}
    exec(
        "from flower_engine import workflow\nfrom authoring.sample import clean\n"
        "@workflow\ndef unseen() -> None:\n    cleaned = clean.step()\n",
        made,
    )
    (task,) = tasks_of(made["unseen"])
    assert task["taskName"] == "Sample_clean"


def test_constants_are_encoded_by_the_types_of_their_parameters() -> None:
    @workflow
    def constants() -> None:
        typed.step(
            when=date(2026, 1, 5),
            colour=Colour.RED,
            point=Point(1, 2),
            options=Options(depth=3),
            address=Address("Ring", File("a", 1)),
            model=Model(n=4),
            totals={"a": Total(1)},
            pair=(7, "x"),
        )

    assert parameters_of(constants) == {
        "when": "2026-01-05",
        "colour": "red",
        "point": [1, 2],
        "options": {"depth": 3},
        "address": {"street": "Ring", "file": {"filePath": "a", "size": 1}},
        "model": {"n": 4, "inner": None},
        "totals": {"a": {"rows": 1, "bad": 0}},
        "pair": [7, "x"],
    }


def test_references_stand_at_any_depth() -> None:
    @workflow
    def nested(day: date) -> None:
        files = list_files.step(day)
        total = add.step([1])
        typed.step(
            address=Address("Ring", File(files[0].file_path, files[1].size)),
            totals={"a": total, "b": Total(total.rows)},
            pair=(total.rows, text("{n}{{}}", n=total.rows)),
            point=Point(total.rows, 2),
        )

    assert parameters_of(nested) == {
        "address": {
            "street": "Ring",
            "file": {
                "filePath": {"$from": "files", "path": "/0/filePath"},
                "size": {"$from": "files", "path": "/1/size", "default": 0},
            },
        },
        "totals": {
            "a": {"$from": "total"},
            "b": {"rows": {"$from": "total", "path": "/rows"}, "bad": 0},
        },
        "pair": [
            {"$from": "total", "path": "/rows"},
            {"$text": "{n}{{}}", "n": {"$from": "total", "path": "/rows"}},
        ],
        "point": [{"$from": "total", "path": "/rows"}, 2],
    }
    assert tasks_of(nested)[-1]["dependsOn"] == ["files", "total"]


def test_data_that_looks_like_a_reference_stays_data() -> None:
    @workflow
    def looks(day: date) -> None:
        anything.step({"$from": "nowhere"}, more=[{"a": {"$secret": "PW"}}, day])

    assert parameters_of(looks) == {
        "value": {"$literal": {"$from": "nowhere"}},
        "more": [{"$literal": {"a": {"$secret": "PW"}}}, {"$param": "day"}],
    }


def test_the_kind_of_an_edge_follows_from_the_parameter() -> None:
    @workflow
    def edges(day: date) -> None:
        files = list_files.step(day)
        one = count.step(files[0])
        comment = anything.step()
        count.step(files[0], strict=comment, note=comment)
        add.step([one], start=one)
        anything.step(comment)
        anything.step(more=comment)

    needs, starts, untyped, extra = (parameters_of(edges, index) for index in (3, 4, 5, 6))
    assert needs["file"] == {"$from": "files", "path": "/0"}
    assert needs["strict"] == {"$from": "comment", "default": False}
    assert needs["note"] == {"$from": "comment", "optional": True}
    assert starts == {"numbers": [{"$from": "one"}], "start": {"$from": "one", "default": 0}}
    assert untyped == {"value": {"$from": "comment", "optional": True}}
    assert extra == {"more": {"$from": "comment"}}
    assert tasks_of(edges)[3]["dependsOn"] == ["files", "comment"]


def test_a_field_that_results_leave_out_takes_its_default_along() -> None:
    @workflow
    def defaults(day: date) -> None:
        files = list_files.step(day)
        total = add.step([files[0].size, 1])
        anything.step([files[0].tags, total.bad, files[0].note])

    assert parameters_of(defaults) == {
        "value": [
            {"$from": "files", "path": "/0/tags", "default": []},
            {"$from": "total", "path": "/bad"},  # what this struct holds is always written
            {"$from": "files", "path": "/0/note", "optional": True},
        ]
    }


def test_what_a_workflow_returns_may_be_nested_or_constant_or_nothing() -> None:
    @workflow
    def nests(day: date, n: int = 1) -> dict[str, Any]:
        files = list_files.step(day)
        return {"first": files[0], "n": n, "text": text("{n}", n=n), "constant": {"$from": 1}}

    @workflow
    def nothing() -> None:
        clean.step()

    definition_of(nests.document())
    assert nests.document()["returns"] == {
        "first": {"$from": "files", "path": "/0"},
        "n": {"$param": "n"},
        "text": {"$text": "{n}", "n": {"$param": "n"}},
        "constant": {"$literal": {"$from": 1}},
    }
    assert "returns" not in nothing.document()


def test_a_secret_is_named_and_never_returned() -> None:
    @workflow
    def sends(token: Secret, user: str = "flower") -> None:
        anything.step(secret("SMTP_PASSWORD"), token=token, url=text("{p}@x", p=secret("P")))

    @workflow
    def tells() -> str:
        clean.step()
        return text("{p}", p=secret("P"))

    document = sends.document()
    definition_of(document)
    assert document["parametersSchema"]["properties"]["token"] == {
        "type": "string",
        "x-flower-secret": True,
    }
    assert document["tasks"][0]["parameters"] == {
        "value": {"$secret": "SMTP_PASSWORD"},
        "token": {"$param": "token"},
        "url": {"$text": "{p}@x", "p": {"$secret": "P"}},
    }
    with pytest.raises(DefinitionError, match="could read it"):
        tells.document()


def test_a_secret_may_be_left_out() -> None:
    @workflow
    def optional(token: Secret | None = None) -> None:
        anything.step(token)

    definition_of(optional.document())
    schema = optional.document()["parametersSchema"]
    assert schema["properties"]["token"] == {
        "anyOf": [{"type": "string"}, {"type": "null"}],
        "x-flower-secret": True,
        "default": None,
    }


def test_schemas_of_parameters_come_from_their_types() -> None:
    @workflow
    def typed_parameters(
        file: File, model: Model, where: Path, colour: Colour = Colour.RED, totals: list[Total] | None = None
    ) -> None:
        clean.step()

    @workflow
    def free(first, second: Any = 1) -> None:  # pyright: ignore
        clean.step()

    definition_of(typed_parameters.document())
    schema = typed_parameters.document()["parametersSchema"]
    assert schema["required"] == ["file", "model", "where"]
    properties = schema["properties"]
    assert properties["file"] == {"$ref": "#/$defs/File"}
    assert properties["where"] == {"type": "string"}
    inner = properties["model"]["properties"]["inner"]
    assert inner["anyOf"][0] == {"$ref": "#/$defs/authoring.sample.Model.Inner"}
    assert properties["totals"]["default"] is None
    assert properties["colour"]["default"] == "red"
    assert schema["$defs"]["File"]["properties"]["filePath"] == {"type": "string"}
    assert schema["$defs"]["authoring.sample.Model.Inner"]["properties"]["n"]["type"] == "integer"
    assert free.document()["parametersSchema"]["properties"] == {"first": {}, "second": {"default": 1}}


def test_parameters_that_have_no_json_are_refused() -> None:
    class Opaque: ...

    @workflow
    def opaque(day: date, what: Opaque) -> None:
        clean.step()

    @workflow
    def mistaken(day: date = "today") -> None:  # pyright: ignore[reportArgumentType]
        clean.step()

    with pytest.raises(DefinitionError, match=r"its parameter 'what', .*Opaque, has no JSON Schema"):
        opaque.document()
    with pytest.raises(
        DefinitionError, match="the default of its parameter 'day' is 'today', which is no date"
    ):
        mistaken.document()


class Tree(msgspec.Struct):
    left: "Tree | None" = None


def test_what_a_registration_would_refuse_is_refused_when_it_is_defined() -> None:
    @workflow("endless")
    def endless(tree: Tree) -> None:
        clean.step()

    with pytest.raises(DefinitionError, match=r"workflow 'endless'.*parametersSchema.*leads back to itself"):
        endless.document()


def test_a_program_of_the_old_kind_takes_no_context_from_a_step() -> None:
    @workflow
    def old(day: date) -> None:
        old_style.step(day)  # pyright: ignore[reportCallIssue, reportArgumentType]

    assert parameters_of(old) == {"day": {"$param": "day"}}


def test_helpers_may_make_steps() -> None:
    def counted(files: list[File]) -> int:
        return count.step(files[0])

    @workflow
    def helped(day: date) -> int:
        return counted(list_files.step(day))

    assert [task["program"] for task in tasks_of(helped)] == ["Sample.list", "Sample.count"]


def test_parameters_of_a_registration_are_encoded_and_checked() -> None:
    assert nightly.parameters(date(2026, 1, 5)) == {"day": "2026-01-05"}
    assert nightly.parameters(day=date(2026, 1, 5), threshold=3) == {"day": "2026-01-05", "threshold": 3}
    with pytest.raises(DefinitionError, match=r"test_document.py:\d+: workflow 'nightly' needs 'day'"):
        nightly.parameters()  # pyright: ignore[reportCallIssue]
    with pytest.raises(DefinitionError, match="'threshold' is 'many', which is no int"):
        nightly.parameters(date(2026, 1, 5), "many")  # pyright: ignore[reportArgumentType]


def test_a_registration_can_be_prepared() -> None:
    starts = datetime(2026, 1, 5, tzinfo=UTC)
    prepared = nightly.having(key="k", priority=-5, start_at=starts)
    assert (prepared.workflow, prepared.key, prepared.priority) == (nightly, "k", -5)
    assert (prepared.start_at, prepared.delay_ms) == (starts, None)
    assert nightly.having(delay="90s").delay_ms == 90_000
    with pytest.raises(DefinitionError, match="beside start_at"):
        nightly.having(delay=1, start_at=starts)
    with pytest.raises(DefinitionError, match="an offset"):
        nightly.having(start_at=datetime(2026, 1, 5))
    with pytest.raises(DefinitionError, match=r"-20\.\.19"):
        nightly.having(priority=20)


def test_the_type_of_a_result_is_known() -> None:
    assert nightly.result_type is Total


def test_finding_a_free_name_does_not_take_longer_the_more_there_are() -> None:
    class Taken(set[str]):
        asked = 0

        def __contains__(self, name: object) -> bool:
            self.asked += 1
            return super().__contains__(name)

    taken, names = Taken({"one_3"}), UniqueNames()
    for _ in range(500):
        taken.add(names.unique("one", taken))
    assert {"one", "one_2", "one_4", "one_501"} <= set(taken)
    assert taken.asked <= 3 * 500
    assert len(names.unique("x" * 128, {"x" * 128})) == 128


def test_a_pin_stands_in_the_document_and_another_word_is_refused() -> None:
    def pinned() -> None:
        clean.step()

    document = workflow("pinned", pin="key")(pinned).document()
    assert (document["pin"], definition_of(document).pin) == ("key", "key")
    word: Any = "flow"
    with pytest.raises(DefinitionError, match="none of workflow, key"):
        workflow("pinned", pin=word)(pinned)
