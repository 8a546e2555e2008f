"""The settings: names that are none, the file ``.env``, and what does not go together."""

from flower_engine.doctor.findings import Finding, and_more, ok, warning
from flower_engine.doctor.subject import Subject
from flower_engine.runtime.settings import variable
from flower_engine.runtime.settings_loading import unknown_variables

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


async def settings(subject: Subject) -> list[Finding]:
    """Those that this command was given: services may have been given others."""
    found = [
        warning("settings", sentence, "set the name that is meant, or remove it")
        for sentence in unknown_variables(subject.environment)
    ]
    for sentence in subject.env_file_said:
        if " is ignored: " in sentence:
            what, _, advice = sentence.partition(". ")
            found.append(warning("settings", what, advice))
    given = subject.settings
    if given.host not in _LOOPBACK and not given.api_tokens:
        found.append(
            warning(
                "settings",
                f"the API listens on {given.host} and asks for no token: whoever reaches it may do all",
                "set FLOWER_API_TOKENS, or FLOWER_HOST to 127.0.0.1",
            )
        )
    if not found:
        names = [variable(name) for name in sorted(given.model_fields_set)]
        found.append(ok("settings", f"set are {and_more(names, 12)}" if names else "all are as by default"))
    return found
