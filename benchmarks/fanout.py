"""The floors of live views under Gander's own daphne: ``python -m benchmarks.fanout loop|group PORT``.

Every WebSocket is a viewer, and the body of a POST goes to all of them: ``loop`` sends it in a bare loop, ``group`` by a
stock Channels group, of which every consumer is a member.
"""

import socket
import sys
from typing import Any

import django
from django.conf import settings

VIEWERS: set[Any] = set()


async def _body(receive: Any) -> str:
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    return body.decode()


async def _done(send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [], "trailers": False})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def loop(scope: Any, receive: Any, send: Any) -> None:
    """Sends to one viewer after the other."""
    if scope["type"] == "http":
        text = await _body(receive)
        for viewer in list(VIEWERS):
            await viewer({"type": "websocket.send", "text": text, "bytes": None})
        await _done(send)
        return
    await receive()
    await send({"type": "websocket.accept", "subprotocol": None, "headers": []})
    VIEWERS.add(send)
    while (await receive())["type"] != "websocket.disconnect":
        pass
    VIEWERS.discard(send)


def group() -> Any:
    """Channels as its documentation shows it."""
    from channels.generic.websocket import AsyncWebsocketConsumer
    from channels.layers import get_channel_layer

    class Viewer(AsyncWebsocketConsumer):  # type: ignore[misc]
        async def connect(self) -> None:
            await self.channel_layer.group_add("viewers", self.channel_name)
            await self.accept()

        async def show(self, event: dict[str, Any]) -> None:
            await self.send(text_data=event["text"])

    viewers = Viewer.as_asgi()

    async def application(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await viewers(scope, receive, send)
            return
        layer: Any = get_channel_layer()
        await layer.group_send("viewers", {"type": "show", "text": await _body(receive)})
        await _done(send)

    return application


def main() -> None:
    django.setup(set_prefix=False)
    from project.server import DrainingServer

    listener = socket.create_server(("127.0.0.1", int(sys.argv[2])), backlog=2048)
    listener.setblocking(False)
    DrainingServer(
        loop if sys.argv[1] == "loop" else group(),
        listener,
        largest_body=settings.DATA_UPLOAD_MAX_MEMORY_SIZE,
        on_ready=lambda: None,
        on_drain=lambda: None,
    ).run()


if __name__ == "__main__":
    main()
