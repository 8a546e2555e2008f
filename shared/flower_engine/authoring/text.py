"""Values that are made of what a run will know: texts with values in them, and secrets."""

from typing import Any, cast

from flower_engine.authoring.given_values import Given, ValueFault, form_of_target
from flower_engine.authoring.ref import Ref, Target, refusal
from flower_engine.model.parameters.reference_forms import FormError, form_of, is_secret_name
from flower_engine.model.values.quoting import short


def text(template: str, /, **values: object) -> str:
    """A text with values of the run in it: ``text("{n} rows of {day}", n=total.rows, day=day)``.

    Texts stand as they are, everything else as JSON. ``{{`` is a brace.

    Raises:
        DefinitionError: a value is missing or not used, or has no JSON form; names file and line.
    """
    targets: list[Target] = []
    form: dict[str, Any] = {"$text": template}
    name = ""
    try:
        for name, value in values.items():
            given = Given(value)
            form[name] = given.written(lambda target, _: form_of_target(target))
            targets.extend(given.targets)
        form_of(form)
    except FormError as fault:
        raise refusal(None, f"calls text({template!r}, ...), which {fault}", "see its parameters") from fault
    except ValueFault as fault:
        raise refusal(
            None, f"calls text({template!r}, ...), where {name!r} {fault}", "give its JSON"
        ) from fault
    workflow = next((target.workflow for target in targets if target.workflow is not None), None)
    tasks = tuple(task for target in targets for task in target.tasks)
    return cast(str, Ref(Target(workflow, f"text({template!r})", str, form, tasks)))


def secret(name: str, /) -> str:
    """A secret by its name, which the worker reads when it runs the task: ``secret("SMTP_PASSWORD")``.

    The value stands in no definition, event or log.

    Raises:
        DefinitionError: it is no name of a secret; names file and line.
    """
    if not isinstance(cast(Any, name), str) or not is_secret_name(name):
        raise refusal(
            None,
            f"asks for the secret {short(repr(name))}, which is no name",
            "give the name of a variable or file of the workers, not the secret itself",
        )
    return cast(str, Ref(Target(None, f"secret({name!r})", str, {"$secret": name})))
