"""Faults of settings."""

from collections.abc import Generator

from acceptance.running import RunningEngine
from doctor.faults import Given, fault
from flower_engine.runtime import env_file


@fault("warning", "settings", "FLOWER_REDIS_ULR is not a setting", "set the name that is meant")
def an_unknown_name(engine: RunningEngine, given: Given) -> Generator[None]:
    given.environment["FLOWER_REDIS_ULR"] = "redis://127.0.0.1"
    yield


@fault("warning", "settings", ".env is ignored: everybody can write the file", "chmod go-w")
def an_env_file_of_all(engine: RunningEngine, given: Given) -> Generator[None]:
    file = given.folder / ".env"
    file.write_text("FLOWER_QUEUES=a\n")
    given.folder.chmod(0o700)
    file.chmod(0o666)
    env_file.load(given.folder, {})
    given.env_file_said.extend(env_file.said())
    yield


@fault("warning", "settings", "listens on 0.0.0.0 and asks for no token", "FLOWER_API_TOKENS")
def an_open_api(engine: RunningEngine, given: Given) -> Generator[None]:
    given.settings["host"] = "0.0.0.0"
    yield
