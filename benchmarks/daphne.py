"""Runs Gander's daphne with another application: ``python -m benchmarks.daphne pool|asgi PORT``.

``pool`` is the thread pool that Gander serves with, ``asgi`` Django's own ASGI handler, each under the settings of the
environment.
"""

import socket
import sys
from typing import Any

import django
from django.conf import settings


def main() -> None:
    django.setup(set_prefix=False)
    from django.core.asgi import get_asgi_application
    from django.core.handlers.wsgi import WSGIHandler

    from project.request_pool import RequestPool
    from project.server import DrainingServer

    limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    application: Any = (
        RequestPool(WSGIHandler(), settings.GANDER.threads, limit)
        if sys.argv[1] == "pool"
        else get_asgi_application()
    )
    listener = socket.create_server(("127.0.0.1", int(sys.argv[2])))
    listener.setblocking(False)
    DrainingServer(
        application, listener, largest_body=limit, on_ready=lambda: None, on_drain=lambda: None
    ).run()


if __name__ == "__main__":
    main()
