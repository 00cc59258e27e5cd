"""daphne, made fit to stop without dropping anything and to refuse bodies before it reads them."""

import asyncio
import logging
import signal
import socket
import weakref
from collections.abc import Callable
from typing import Any

# The import of daphne's server installs Twisted's asyncio reactor, so it comes before any other of Twisted.
from daphne.server import Server  # isort: skip
from daphne.http_protocol import WebRequest
from daphne.ws_protocol import WebSocketProtocol
from twisted.internet import reactor
from twisted.internet.defer import Deferred

from project.request_pool import DRAIN_SECONDS

logger = logging.getLogger(__name__)

SERVICE_RESTART = 1012  # RFC 6455 §7.4, registered with IANA
_STEP = 0.05


class BoundedRequest(WebRequest):  # type: ignore[misc]
    """A request whose body is refused at its announced length, or where it grows beyond the limit.

    daphne hands a request on only when its body is whole, so nothing behind it could save the memory.
    """

    limit = 0
    refused = False
    received = 0

    def gotLength(self, length: int | None) -> None:
        super().gotLength(min(length or 0, self.limit))
        if length is not None and length > self.limit:
            self._refuse()

    def handleContentChunk(self, data: bytes) -> None:
        self.received += len(data)
        if not self.refused and self.received > self.limit:
            self._refuse()
        if not self.refused:
            super().handleContentChunk(data)
        elif self.received > 2 * self.limit:
            self.channel.loseConnection()

    def process(self) -> Any:
        return self.channel.loseConnection() if self.refused else super().process()

    def _refuse(self) -> None:
        """Answers at once, and goes on reading for a while: closing now could lose the answer on its way."""
        self.refused = True
        body = b'{"error": "The request is larger than GANDER_MAX_SYNC_MB allows"}'
        self.channel.transport.write(
            b"HTTP/1.1 413 Content Too Large\r\nContent-Type: application/json\r\nConnection: close\r\n"
            b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
        )


class RestartableSocket(WebSocketProtocol):  # type: ignore[misc]
    """A socket that may be closed with 1012, service restart, which autobahn keeps from applications."""

    def serverClose(self, code: int | None = None) -> None:
        if code == SERVICE_RESTART and self.state == self.STATE_OPEN:
            self.sendCloseFrame(code=code, isReply=False)
        else:
            super().serverClose(code)


def _is_sending(protocol: Any) -> bool:
    """Whether what was written to a connection is not all handed to the kernel; Twisted would drop it as it ends."""
    transport = getattr(protocol._channel, "transport", None)
    if transport is None or getattr(transport, "disconnected", True):
        return False
    return bool(transport._tempDataLen or len(transport.dataBuffer) > transport.offset)


class DrainingServer(Server):  # type: ignore[misc]
    """A daphne that, asked to stop, takes no new connections, lets running requests end, and only then goes.

    ``on_start`` is called on the event loop once it runs; ``on_drain`` as well, to close what would never end by itself;
    ``busy`` says whether there is work of another kind that must end first.
    """

    def __init__(
        self,
        application: Any,
        listener: socket.socket,
        *,
        largest_body: int,
        on_ready: Callable[[], None],
        on_drain: Callable[[], None],
        on_start: Callable[[], None] = lambda: None,
        busy: Callable[[], bool] = lambda: False,
    ) -> None:
        super().__init__(
            application,
            endpoints=[f"fd:fileno={listener.fileno()}"],
            signal_handlers=False,
            request_buffer_size=1024 * 1024,
            # After a restart, a thousand pages may come back in one moment.
            websocket_handshake_timeout=20,
            ready_callable=on_ready,
            server_name="",
            verbosity=0,
        )
        self._ports: list[Any] = []
        # Connections as long as they last.
        self._channels: weakref.WeakSet[Any] = weakref.WeakSet()
        self._on_start = on_start
        self._on_drain = on_drain
        self._otherwise_busy = busy
        self._stopping = False
        BoundedRequest.limit = largest_body

    def run(self) -> None:
        """Serves until SIGINT or SIGTERM; returns when everything has ended."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: reactor.callFromThread(self.drain))
        reactor.callLater(0, self._on_start)
        super().run()

    def listen_success(self, port: Any) -> None:
        self._ports.append(port)
        self.ws_factory.protocol = RestartableSocket
        build = self.http_factory.buildProtocol

        def bounded(address: Any) -> Any:
            protocol = build(address)
            protocol.requestFactory = BoundedRequest
            self._channels.add(protocol)
            return protocol

        self.http_factory.buildProtocol = bounded
        super().listen_success(port)

    def listen_error(self, failure: Any) -> None:
        logger.critical("cannot listen: %s", failure.getErrorMessage())
        self.stop()

    def drain(self) -> None:
        """Begins to stop. A second call stops at once."""
        if self._stopping:
            self.stop()
            return
        self._stopping = True
        for port in self._ports:
            port.stopListening()
        self._on_drain()
        self._wait(DRAIN_SECONDS)

    def _wait(self, left: float) -> None:
        if left <= 0 or not self._busy():
            self.stop()
        else:
            reactor.callLater(_STEP, self._wait, left - _STEP)

    def kill_all_applications(self) -> Any:
        """Cancels what still runs; daphne's own trips over connections whose request was never whole."""
        running = [
            details["application_instance"]
            for details in self.connections.values()
            if "application_instance" in details
        ]
        for application in running:
            application.cancel()
        return Deferred.fromFuture(asyncio.gather(*running, return_exceptions=True))

    def _busy(self) -> bool:
        """Whether a request still runs, one is only half received, an answer is on its way, or other work is not done."""
        return (
            self._otherwise_busy()
            or any(map(_is_sending, self._channels))
            or any(
                not details.get("disconnected")
                and ("application_instance" not in details or not details["application_instance"].done())
                for details in self.connections.values()
            )
        )
