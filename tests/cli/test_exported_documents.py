"""What is exported is what is deployed: through YAML and JSON, whatever the definition holds."""

import json

from hypothesis import given

from flower_api.definition_schemas import WorkflowBody
from flower_cli.yaml_documents import documents_of, yaml_of
from flower_engine.model.definitions.definition import WorkflowDefinition
from flower_engine.model.definitions.workflow_versions import plain_document, version_of
from unit.definitions import definitions


@given(definitions())
def test_a_definition_has_the_same_hash_after_yaml_and_json_alone_or_with_others(
    definition: WorkflowDefinition,
) -> None:
    document = plain_document(definition)
    (of_yaml,) = documents_of(yaml_of([document]).encode())
    assert documents_of(yaml_of([document, document]).encode()) == [document, document]
    of_json = json.loads(json.dumps(document))
    for read in (of_yaml, of_json):
        again = WorkflowBody.model_validate(read).to_model(definition.name)
        assert version_of(again) == version_of(definition)
