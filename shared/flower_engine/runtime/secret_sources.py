"""Where a service finds secrets: in a variable, or in a file of a folder. Each time anew, as files change."""

from collections.abc import Mapping
from pathlib import Path

from flower_engine.errors import SecretError
from flower_engine.model.parameters.reference_forms import is_secret_name

_MOST_BYTES = 64 * 1024


class SecretSources:
    """The variable of a prefix and the name, else the file of that name."""

    def __init__(self, prefix: str, folder: Path | None, environment: Mapping[str, str]) -> None:
        """As ``FLOWER_SECRETS_PREFIX`` and ``FLOWER_SECRETS_FOLDER`` say."""
        self._prefix = prefix
        self._folder = folder
        self._environment = environment

    def value(self, name: str) -> str:
        """The value of a secret; whether somebody may have it is for the caller to say.

        Raises:
            SecretError: it is not there; names it and where it was looked for.
        """
        found = self._environment.get(self._prefix + name)
        if found is None and self._folder is not None and is_secret_name(name):
            found = self._in_folder(self._folder, name)
        if not found:
            raise SecretError(f"secret {name} is not there; looked for {self._looked_for(name)}")
        return found

    def _in_folder(self, folder: Path, name: str) -> str | None:
        try:
            with (folder / name).open("rb") as file:
                content = file.read(_MOST_BYTES + 1)
            if len(content) > _MOST_BYTES:
                raise SecretError(f"secret {name}: file {folder / name} is longer than {_MOST_BYTES} bytes")
            return content.decode().removesuffix("\n").removesuffix("\r")
        except FileNotFoundError:
            return None
        except UnicodeDecodeError:
            raise SecretError(f"secret {name}: file {folder / name} is no UTF-8") from None
        except OSError as error:
            raise SecretError(
                f"secret {name}: file {folder / name} cannot be read: {error.strerror}"
            ) from None

    def _looked_for(self, name: str) -> str:
        places = [f"variable {self._prefix}{name}"]
        if self._folder is None:
            return f"{places[0]} (FLOWER_SECRETS_FOLDER is not set)"
        return f"{places[0]} and file {self._folder / name}"
