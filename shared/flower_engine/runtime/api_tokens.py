"""The tokens of the API, as ``FLOWER_API_TOKENS`` gives them."""

import re
import unicodedata

from pydantic import BaseModel, ConfigDict, SecretStr

_MAX_NAME = 100


class ApiToken(BaseModel):
    """A token of the API: whose it is, the secret, whether it may do more than read, and the roles that
    approvals ask for."""

    model_config = ConfigDict(frozen=True)

    name: str
    secret: SecretStr
    may_operate: bool
    roles: tuple[str, ...] = ()

    def __str__(self) -> str:
        """As the variable has it, secret included: for the environment of child processes."""
        kind = "" if self.may_operate else ":read"
        if self.roles:
            kind = f"{kind or ':operator'}:{'+'.join(self.roles)}"
        return f"{self.name}:{self.secret.get_secret_value()}{kind}"


def read_tokens(text: str) -> tuple[ApiToken, ...]:
    """The tokens of ``name:token,name:token:read,name:token:operator:role+role``.

    Raises:
        ValueError: an entry is wrong; says which by its number, never what stands there.
    """
    tokens: list[ApiToken] = []
    entries = [part.strip(" ") for part in text.split(",")]
    for number, entry in enumerate((entry for entry in entries if entry.strip()), start=1):
        name, _, rest = entry.partition(":")
        secret, _, rest = rest.partition(":")
        kind, _, said = rest.partition(":")
        if not name or not secret or kind not in ("", "read", "operator"):
            raise ValueError(
                f"entry {number} should be name:token, name:token:read or name:token:operator, perhaps with"
                " the roles that approvals ask for behind it: name:token:operator:ops+dwh"
            )
        _check(number, name, secret)
        roles = tuple(dict.fromkeys(role for role in said.split("+") if role))
        for role in roles:
            _check_name(number, "a role", role)
        tokens.append(ApiToken(name=name, secret=SecretStr(secret), may_operate=kind != "read", roles=roles))
    names = [token.name for token in tokens]
    if len(set(names)) < len(names):
        raise ValueError("a name stands twice")
    secrets = [token.secret.get_secret_value() for token in tokens]
    for number, secret in enumerate(secrets, start=1):
        first = secrets.index(secret) + 1
        if first != number:
            raise ValueError(
                f"entries {first} and {number} have the same token, so nobody could tell who asks: give each"
                " name its own"
            )
    return tuple(tokens)


def _check(number: int, name: str, secret: str) -> None:
    _check_name(number, "the name", name)
    if not re.fullmatch(r"[!-~]+", secret):
        raise ValueError(
            f"the token of entry {number} should have letters, digits and signs of ASCII only, no spaces: it"
            " is sent as a header"
        )


def _check_name(number: int, what: str, name: str) -> None:
    if len(name) > _MAX_NAME or any(unicodedata.category(one).startswith(("C", "Z")) for one in name):
        raise ValueError(
            f"{what} of entry {number} should have at most {_MAX_NAME} characters, none of them a space or"
            " a control character"
        )
