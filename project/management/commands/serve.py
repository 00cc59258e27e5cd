"""``manage.py serve``: everything from an empty directory to a running server."""

import errno
import gc
import logging
import socket
import threading
from typing import Any

from django.conf import settings
from django.core.management import BaseCommand, CommandError, call_command
from django.db import connection
from django.db.utils import Error as DatabaseError

from project.accounts import setup
from sessions_app import retention

logger = logging.getLogger(__name__)

_SWEEP_EVERY = 3600.0


class Command(BaseCommand):
    help = "Prepares the database and serves Gander until SIGINT or SIGTERM."
    requires_system_checks = "__all__"

    def handle(self, *args: Any, **options: Any) -> None:
        listener = self._listen(settings.GANDER.host, settings.GANDER.port)
        self._migrate()
        # Imported late: it brings in Twisted and installs its reactor.
        from project.asgi import application
        from project.server import DrainingServer

        # What start-up made stays for good; without this, every full collection walks it again within some request.
        gc.collect()
        gc.freeze()
        gc.set_threshold(20_000, 20, 50)
        ended = threading.Event()
        threading.Thread(target=self._sweep, args=(ended,), daemon=True, name="sweep").start()
        server = DrainingServer(
            application,
            listener,
            largest_body=settings.DATA_UPLOAD_MAX_MEMORY_SIZE,
            on_ready=self._announce,
        )
        server.run()
        ended.set()
        self.stdout.write("Gander has stopped.")

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
