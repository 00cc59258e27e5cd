"""Runs ordinary requests through Django's synchronous handler on a small, fixed pool of threads.

Django's own ASGI handler starts a thread per request and hops between loop and thread at every synchronous
middleware; this makes about five times its requests a second in the same process. Threads stay, and so do their
database connections.
"""

import asyncio
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from tempfile import SpooledTemporaryFile
from typing import IO, Any

from asgiref.typing import ASGIReceiveCallable, ASGISendCallable

# How long running requests may take when the server is asked to stop.
DRAIN_SECONDS = 10.0
_IN_MEMORY = 4 * 1024 * 1024

StartResponse = Callable[..., Any]
WSGIApplication = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]


class _TooLarge(Exception):
    pass


class _Gone(Exception):
    """The client hung up before its request was whole."""


class RequestPool:
    """An ASGI application for ``http`` scopes around a WSGI application.

    Args:
        application: the WSGI application, called on the pool's threads only.
        threads: how many.
        largest: bytes of request body that are accepted; more answers 413.
    """

    def __init__(self, application: WSGIApplication, threads: int, largest: int) -> None:
        self.application = application
        self.largest = largest
        self.executor = ThreadPoolExecutor(threads, thread_name_prefix="request")

    async def __call__(self, scope: Any, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        with SpooledTemporaryFile(max_size=_IN_MEMORY) as body:
            try:
                size = await self._read(receive, body)
            except _Gone:
                return
            except _TooLarge:
                await _refuse(send)
                return
            body.seek(0)
            loop = asyncio.get_running_loop()
            answer = _Answer(send)
            await loop.run_in_executor(
                self.executor, answer.run, self.application, environ(scope, body, size)
            )
            await answer.finish()

    async def _read(self, receive: ASGIReceiveCallable, body: IO[bytes]) -> int:
        size = 0
        while True:
            message: Any = await receive()
            if message["type"] == "http.disconnect":
                raise _Gone
            chunk = message.get("body", b"")
            size += len(chunk)
            if size > self.largest:
                raise _TooLarge
            body.write(chunk)
            if not message.get("more_body", False):
                return size


async def _refuse(send: ASGISendCallable) -> None:
    await send(
        {
            "type": "http.response.start",
            "status": 413,
            "headers": [(b"content-type", b"application/json"), (b"connection", b"close")],
            "trailers": False,
        }
    )
    await send(
        {
            "type": "http.response.body",
            "body": b'{"error": "The request is larger than GANDER_MAX_SYNC_MB allows"}',
            "more_body": False,
        }
    )


class _Answer:
    """One response: run on a thread, sent on the loop."""

    def __init__(self, send: ASGISendCallable) -> None:
        self.send = send
        self.start: dict[str, Any] | None = None
        self.body = b""

    def run(self, application: WSGIApplication, environ: dict[str, Any]) -> None:
        """On a pool's thread, which waits for no client: only files of a few hundred kilobytes come in chunks."""
        chunks = application(environ, self._start_response)
        try:
            self.body = b"".join(chunks)
        finally:
            if hasattr(chunks, "close"):
                chunks.close()

    def _start_response(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> None:
        self.start = {
            "type": "http.response.start",
            "status": int(status[:3]),
            "headers": [
                (name.lower().encode("latin-1"), value.strip().encode("latin-1")) for name, value in headers
            ],
            "trailers": False,
        }

    async def finish(self) -> None:
        """Sends it."""
        await self.send(self.start)  # type: ignore[arg-type]
        await self.send({"type": "http.response.body", "body": self.body, "more_body": False})


def environ(scope: dict[str, Any], body: IO[bytes], size: int) -> dict[str, Any]:
    """PEP 3333's environment of an ASGI scope."""
    server = scope.get("server") or ("localhost", 80)
    environ: dict[str, Any] = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": scope["path"].encode("utf-8", "surrogateescape").decode("latin-1"),
        "QUERY_STRING": scope.get("query_string", b"").decode("latin-1"),
        "SERVER_NAME": server[0],
        "SERVER_PORT": str(server[1] or 0),
        "SERVER_PROTOCOL": f"HTTP/{scope.get('http_version', '1.1')}",
        "REMOTE_ADDR": (scope.get("client") or ("", 0))[0],
        "CONTENT_LENGTH": str(size),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope.get("scheme", "http"),
        "wsgi.input": body,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for raw_name, raw_value in scope["headers"]:
        name = raw_name.decode("latin-1").upper().replace("-", "_")
        if name == "CONTENT_LENGTH":
            continue
        if name != "CONTENT_TYPE":
            name = f"HTTP_{name}"
        value = raw_value.decode("latin-1")
        # A header given twice is one list (RFC 9110 §5.3), but cookies are joined their own way.
        environ[name] = (
            f"{environ[name]}{';' if name == 'HTTP_COOKIE' else ','}{value}" if name in environ else value
        )
    return environ
