"""Settings from ``FLOWER_*`` variables, files of secrets and flags; all that is wrong is one error."""

import difflib
import os
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from flower_engine.errors import SettingsError
from flower_engine.runtime.settings import Settings, variable
from flower_engine.secret_files import FILE_VARIABLES, SECRET_SETTINGS, secret_text
from flower_engine.secrets import (
    hide_secrets,
    learn_address,
    learn_environment,
    learn_headers,
    learn_secrets,
    learn_tokens,
)

_PREFIX = "FLOWER_"
_MAX_QUOTED = 60
_OF_OTHERS = ("FLOWER_CRASH_AT",)  # of tests


def load_settings(**flags: Any) -> Settings:
    """Settings from the environment, overridden by the flags that are not None.

    Raises:
        SettingsError: every setting that is wrong, each with its variable's name.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    learn_environment(os.environ)
    found, problems = _of_environment(os.environ, given)
    given = found | given
    # Whatever becomes of them, from here on no text shows a secret of these.
    for name in ("url", "traces_endpoint", *(one for one in SECRET_SETTINGS if one.endswith("_url"))):
        learn_address(given.get(name))
    if isinstance(given.get("api_tokens"), str):
        learn_tokens(given["api_tokens"])
    settings = None
    try:
        settings = Settings.model_validate(given)
    except ValidationError as error:  # no cause of what is raised: it quotes what was given
        problems += map(_sentence, error.errors())
    if settings is None or problems:
        raise SettingsError(f"settings are wrong: {'; '.join(problems)}")
    learn_secrets(token.secret.get_secret_value() for token in settings.api_tokens)
    learn_secrets([settings.token.get_secret_value() if settings.token else None])
    learn_secrets(settings.link_secret.get_secret_value().split() if settings.link_secret else ())
    learn_headers(settings.traces_headers.get_secret_value() if settings.traces_headers else None)
    return settings


def _of_environment(
    environment: Mapping[str, str], flags: Mapping[str, Any]
) -> tuple[dict[str, str], list[str]]:
    """What the environment and the files that it names set, by field, where no flag does, and what is wrong
    with these files; names of variables in small letters are taken, too."""
    texts = {name.upper(): text for name, text in environment.items() if text}
    given: dict[str, str] = {}
    problems: list[str] = []
    for field in Settings.model_fields:
        try:
            text = secret_text(field, texts) if field in SECRET_SETTINGS else texts.get(variable(field))
        except SettingsError as error:
            if field not in flags:
                problems.append(str(error))
            continue
        if text is not None:
            given[field] = text
    return given, problems


def unknown_variables(environment: Mapping[str, str] = os.environ) -> list[str]:
    """A sentence for each FLOWER_ variable that is no setting: mostly a slip of the pen, so only said."""
    known = [*map(variable, Settings.model_fields), *FILE_VARIABLES, *_OF_OTHERS]
    secrets = environment.get(variable("secrets_prefix")) or Settings.model_fields["secrets_prefix"].default
    sentences: list[str] = []
    for name in sorted(name for name in environment if name.startswith(_PREFIX)):
        if name not in known and not name.startswith(secrets):
            bare = [other.removeprefix(_PREFIX) for other in known]
            near = difflib.get_close_matches(name.removeprefix(_PREFIX), bare, n=1)
            hint = f" (is it {_PREFIX}{near[0]}?)" if near else ""
            sentences.append(f"{name} is not a setting and is ignored{hint}")
    return sentences


def _sentence(problem: ErrorDetails) -> str:
    if not problem["loc"]:  # of several settings together
        return hide_secrets(problem["msg"].removeprefix("Value error, "))
    field = str(problem["loc"][0])
    # An address may hold a password, and tokens are secrets, so they are not repeated.
    hidden = ("url", "token", "_tokens", "_secret", "blobs", "_endpoint", "_headers")
    given = "" if field.endswith(hidden) else f" = {_quoted(problem['input'])}"
    return hide_secrets(f"{variable(field)}{given}: {problem['msg'].removeprefix('Value error, ')}")


def _quoted(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _MAX_QUOTED else f"{text[:_MAX_QUOTED]}..."
