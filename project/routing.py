"""Sends each connection where it belongs."""

import asyncio
from typing import Any

from asgiref.typing import ASGI3Application, ASGIReceiveCallable, ASGISendCallable

from sessions_app import hints


class Router:
    """Requests go to the thread pool; a WebSocket is closed, as long as there is none to open."""

    def __init__(self, requests: ASGI3Application) -> None:
        self.requests = requests

    async def __call__(self, scope: Any, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        hints.use_loop(asyncio.get_running_loop())
        if scope["type"] == "http":
            # daphne takes a root path from a header that any client may send.
            scope["root_path"] = ""
            await self.requests(scope, receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 4404, "reason": None})
        elif scope["type"] == "lifespan":
            await _lifespan(receive, send)


async def _lifespan(receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        else:
            await send({"type": "lifespan.shutdown.complete"})
            return
