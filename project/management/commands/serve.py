"""``manage.py serve``: everything from an empty directory to a running server."""

import errno
import gc
import logging
import resource
import socket
import threading
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

from django.conf import settings
from django.core.management import BaseCommand, CommandError, CommandParser, call_command
from django.db import connection
from django.db.utils import Error as DatabaseError

from project.accounts import setup
from project.request_pool import DRAIN_SECONDS
from project.workers import Workers
from sessions_app import retention
from sessions_app.agent.executor import running
from sessions_app.live.hubs import hubs

logger = logging.getLogger(__name__)

_SWEEP_EVERY = 3600.0
# Every viewer is an open file, and shells and services begin with 1,024.
_OPEN_FILES = 65_536


def _serve(
    server: str, listener: socket.socket, on_ready: Callable[[], None], settle: Callable[[], None]
) -> None:
    """Runs a server in this process until it is asked to stop."""
    # Imported late: daphne brings in Twisted and installs its reactor.
    from project.asgi import application

    def on_drain() -> None:
        hubs().stop()
        if turns := running():
            turns.begin_drain(DRAIN_SECONDS)

    def busy() -> bool:
        turns = running()
        return turns is not None and turns.busy

    if server == "uvicorn":
        from project.uvicorn_server import DrainingUvicorn

        settle()
        DrainingUvicorn(
            application, listener, on_ready=on_ready, on_drain=on_drain, busy=busy
        ).serve_until_stopped()
        return
    from project.server import DrainingServer

    settle()
    DrainingServer(
        application,
        listener,
        largest_body=settings.DATA_UPLOAD_MAX_MEMORY_SIZE,
        on_ready=on_ready,
        on_drain=on_drain,
        # daphne has no lifespan; turns that wait since the last stop would wait for the first request.
        on_start=application.begin,
        busy=busy,
    ).run()


class Command(BaseCommand):
    help = "Prepares the database and serves Gander until SIGINT or SIGTERM."
    requires_system_checks = "__all__"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--workers", type=int, help="processes that serve, instead of GANDER_WORKERS")
        parser.add_argument(
            "--server",
            choices=["daphne", "uvicorn"],
            default="daphne",
            help="what speaks HTTP; uvicorn is an extra, pip install 'uvicorn[standard]'",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        workers = settings.GANDER.workers if options["workers"] is None else options["workers"]
        self._check(workers, options["server"])
        self._allow_many_open_files()
        listener = self._listen(settings.GANDER.host, settings.GANDER.port)
        self._migrate()

        # What start-up made stays for good; without this, every full collection walks it again within some request.
        def settle() -> None:
            gc.collect()
            gc.freeze()
            gc.set_threshold(20_000, 20, 50)

        def work(number: int, on_ready: Callable[[], None] = lambda: None) -> None:
            ended = threading.Event()
            if number == 0:
                threading.Thread(target=self._sweep, args=(ended,), daemon=True, name="sweep").start()
            _serve(options["server"], listener, on_ready, settle)
            ended.set()

        if workers == 1:
            work(0, self._announce)
        else:
            # Nothing runs beside when the processes part: threads, connections and event loops are theirs.
            # The socket lives as long as anybody has it: kept here, it would take connections that nobody serves.
            several = Workers(workers, work, listener.close)
            self._announce()
            several.start()
            several.run()
        self.stdout.write("Gander has stopped.")

    @staticmethod
    def _check(workers: int, server: str) -> None:
        if workers < 1:
            raise CommandError("--workers must be 1 or more")
        if workers > 1 and not settings.GANDER.redis_url:
            raise CommandError(f"{workers} workers need Redis to reach each other; set REDIS_URL")
        if server == "uvicorn" and find_spec("uvicorn") is None:
            raise CommandError("uvicorn is not installed; pip install 'uvicorn[standard]'")

    @staticmethod
    def _allow_many_open_files() -> None:
        """Raises this process's limit as far as the system lets it."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        most = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, _OPEN_FILES)
        if soft != resource.RLIM_INFINITY and soft < most:
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))

    @staticmethod
    def _listen(host: str, port: int) -> socket.socket:
        """A listening socket.

        Raises:
            CommandError: the address cannot be had; says why.
        """
        try:
            family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            listener = socket.socket(family, kind, protocol)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(1024)
            listener.setblocking(False)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise CommandError(
                    f"port {port} on {host} is in use; stop what uses it, or set GANDER_PORT to another"
                ) from None
            raise CommandError(f"cannot listen on {host}:{port}: {error.strerror or error}") from None
        return listener

    @staticmethod
    def _migrate() -> None:
        try:
            call_command("migrate", interactive=False, verbosity=0)
        except (DatabaseError, OSError) as error:
            reason = " ".join(str(error).split())
            name = (
                "the database of DATABASE_URL"
                if settings.GANDER.database_url
                else str(settings.DATABASES["default"]["NAME"])
            )
            raise CommandError(f"{name} cannot be used: {reason}") from None
        finally:
            connection.close()

    def _announce(self) -> None:
        gander = settings.GANDER
        host = "localhost" if gander.host in {"127.0.0.1", "0.0.0.0", "::", "::1"} else gander.host  # noqa: S104
        address = gander.base_url or f"http://{host}:{gander.port}"
        self.stdout.write(f"Gander serves {address}")
        if link := setup.link(address):
            self.stdout.write(f"Make the first account here (the link is good until then):\n  {link}")
        self.stdout.flush()
        connection.close()

    @staticmethod
    def _sweep(ended: threading.Event) -> None:
        while not ended.is_set():
            try:
                retention.sweep()
            except DatabaseError:
                logger.exception("what has expired could not be deleted; it is tried again in an hour")
            finally:
                connection.close()
            ended.wait(_SWEEP_EVERY)
