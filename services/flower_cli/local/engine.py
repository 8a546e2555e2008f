"""Stores and services of one ``flower up``: started, looked after, and ended in the reverse order."""

import contextlib
import logging
import os
import time
from collections.abc import Mapping, Sequence

from flower_cli.addresses import address_lines
from flower_cli.console import out
from flower_cli.local.api_address import ApiAddress
from flower_cli.local.lines import Lines
from flower_cli.local.signals import StopSignals
from flower_cli.local.supervisor import Supervisor, end_leftovers, service_command
from flower_engine.embedded.embedded_stores import Addresses, EmbeddedStores
from flower_engine.embedded.home import Home
from flower_engine.errors import SettingsError
from flower_engine.runtime.settings import Settings
from flower_engine.secret_files import FILE_VARIABLES

_log = logging.getLogger(__name__)
_LAST_PORT = 65_535
_TURN_SECONDS = 0.1
_REPORT_SECONDS = 10.0
_BEYOND_GRACE_SECONDS = 25.0
"""A service ends itself 20 s after its grace time (lifecycle); this is the last resort after that."""


class Engine:
    """Stores and services of one ``flower up``."""

    def __init__(
        self,
        home: Home,
        settings: Settings,
        commands: Mapping[str, Sequence[str]],
        lines: Lines,
        signals: StopSignals,
    ) -> None:
        self._home = home
        self._settings = settings
        self._commands = commands
        self._lines = lines
        self._signals = signals
        self._stores = EmbeddedStores(home, settings)
        self._marks_file = home.run / "services.json"

    def run(self) -> None:
        """Start everything, look after it until a signal asks to stop, end it: services, then stores."""
        api = ApiAddress.choose(self._settings.host, self._settings.port)
        end_leftovers(self._marks_file)
        with contextlib.suppress(KeyboardInterrupt):  # a signal while a store was starting
            with self._signals.interruptible():
                addresses = self._stores.start(api.url)
            try:
                self._run_services(addresses, api)
            finally:
                self._stores.stop()
        _log.info("stopped")

    def _run_services(self, addresses: Addresses, api: ApiAddress) -> None:
        supervisor = Supervisor(
            self._commands,
            environment={
                **os.environ,
                **dict.fromkeys(FILE_VARIABLES, ""),  # what these held is set
                **self._settings.as_environment(),
                "FLOWER_HOME": str(self._home.path),
                "FLOWER_REDIS_URL": addresses.redis_url,
                "FLOWER_DATABASE_URL": addresses.database_url,
                "FLOWER_PORT": str(api.port),
                **self._blobs_of_workers(api),
                "FLOWER_AUTO_RECOVER": str(self._recovers_by_itself()),
            },
            environments=self._ports_of_metrics(),
            marks_file=self._marks_file,
            sink=self._lines.write,
        )
        try:
            supervisor.start()
            self._look_after(supervisor, addresses, api)
        finally:
            _log.info("stopping the services (again Ctrl-C: at once)")
            patience_seconds = self._settings.grace_seconds + _BEYOND_GRACE_SECONDS
            supervisor.stop(patience_seconds=patience_seconds, is_forced=lambda: self._signals.pressed)

    def _blobs_of_workers(self, api: ApiAddress) -> Mapping[str, str]:
        """Where its workers find the API, as whom they come, and that they keep blobs there by default."""
        tokens = [token.secret for token in self._settings.api_tokens if token.may_operate]
        token = self._settings.token
        if tokens and token not in tokens:
            token = tokens[0]
        return {
            "FLOWER_URL": api.url,
            "FLOWER_BLOBS": ",".join(self._settings.blobs) or "api",
            **({"FLOWER_TOKEN": token.get_secret_value()} if token else {}),
        }

    def _ports_of_metrics(self) -> Mapping[str, Mapping[str, str]]:
        """A port for each service: the one that is set, and those behind it; 0 stays 0, any free one."""
        first = self._settings.metrics_port
        if not first:
            return {}
        ports = {name: first + index for index, name in enumerate(self._commands)}
        if max(ports.values()) > _LAST_PORT:
            raise SettingsError(
                f"FLOWER_METRICS_PORT = {first}: each of the {len(ports)} services takes one, from there on,"
                f" and the last port is {_LAST_PORT}"
            )
        return {name: {"FLOWER_METRICS_PORT": str(port)} for name, port in ports.items()}

    def _recovers_by_itself(self) -> bool:
        """An embedded Redis cannot be another one by mistake, so nobody need be asked."""
        given = self._settings.auto_recover
        return self._settings.redis_url is None if given is None else given

    def _look_after(self, supervisor: Supervisor, addresses: Addresses, api: ApiAddress) -> None:
        ready, report_at = False, time.monotonic() + _REPORT_SECONDS
        while not self._signals.asked:
            supervisor.run_once()
            with self._signals.interruptible():
                self._stores.restart_ended()
            if not ready:
                missing = api.missing()
                ready = missing is None
                if ready:
                    self._print_summary(addresses, api)
                elif time.monotonic() >= report_at:
                    _log.info("the API is not ready yet: %s", missing)
                    report_at += _REPORT_SECONDS
            time.sleep(_TURN_SECONDS)

    def _print_summary(self, addresses: Addresses, api: ApiAddress) -> None:
        if self._settings.log_format == "json":
            _log.info(
                "Flower is running at %s (dashboard and API), with its data in %s", api.url, self._home.path
            )
            return
        text = address_lines({**addresses._asdict(), "api_url": api.url})
        text += f"\n{'Data':<10}{self._home.path}"
        out.print("[bold green]Flower is running[/] (Ctrl-C stops it)")
        out.print(text, markup=False)


def service_commands(workers: int) -> Mapping[str, Sequence[str]]:
    """The services of an engine, by the names they have in its log."""
    names = ["worker"] if workers == 1 else [f"worker-{number}" for number in range(1, workers + 1)]
    return {
        "api": service_command("api"),
        "projector": service_command("projector"),
        "watcher": service_command("watcher"),
        **{name: service_command("worker") for name in names},
    }
