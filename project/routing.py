"""Sends each connection where it belongs: what waits to the event loop, every other request to the thread pool."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs

from asgiref.typing import ASGI3Application, ASGIReceiveCallable, ASGISendCallable
from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.http import HttpResponse
from django.urls import Resolver404, path
from django.urls.resolvers import RegexPattern, URLResolver

from project import guide, turn_stream
from project.admission import Admission, admit
from sessions_app import hints
from sessions_app.agent.executor import executor, sweep
from sessions_app.agent.follow import follow
from sessions_app.live import doors, sockets, streams
from sessions_app.live.hub import NOT_SHARED
from sessions_app.live.threads import in_thread
from sharing import live as sharing_live
from sharing.headers import HEADERS

Connection = Callable[..., Awaitable[None]]


async def _own_list(scope: Any, receive: Any, send: Any, who: Admission) -> None:
    await sockets.watch_list(who, who.user.pk if who.reads else None, receive, send)


async def _own_session(scope: Any, receive: Any, send: Any, who: Admission, session_id: uuid.UUID) -> None:
    door = doors.of_owner(who, session_id) if who.reads else None
    await sockets.watch_session(door, receive, send)


async def _shared_session(scope: Any, receive: Any, send: Any, who: Admission, share_id: str) -> None:
    await sockets.watch_session(sharing_live.of_readers(share_id, who), receive, send)


async def _own_events(scope: Any, receive: Any, send: Any, who: Admission, session_id: uuid.UUID) -> None:
    if await _may_read(send, who):
        door = doors.of_owner(who, session_id)
        await streams.watch_session(door, _since(scope), receive, send, [])


async def _may_read(send: Any, who: Admission) -> bool:
    """Whether somebody may read sessions of theirs; answers whoever may not."""
    if not who.user.is_authenticated:
        message = "Send Authorization: Bearer <token>; make a token on the tokens page."
        await streams.answer(send, 401, "unauthenticated", message, [(b"www-authenticate", b"Bearer")])
        return False
    if not who.reads:
        message = "This token may only share sessions. Use one that may do everything."
        await streams.answer(send, 403, "forbidden", message, [])
        return False
    return True


async def _shared_events(scope: Any, receive: Any, send: Any, who: Admission, share_id: str) -> None:
    door = sharing_live.of_readers(share_id, who)
    headers = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
    await streams.watch_session(
        door, _since(scope), receive, send, [h for h in headers if h[0] != b"cache-control"]
    )


async def _turn_events(
    scope: Any, receive: Any, send: Any, who: Admission, session_id: uuid.UUID, turn_id: uuid.UUID
) -> None:
    if await _may_read(send, who):
        await follow(doors.of_owner(who, session_id), turn_id, _since(scope), receive, send)


def _since(scope: Any) -> str | None:
    """Where a stream goes on: what a reconnecting client says wins over the address it was given once."""
    if (last := streams.last_event(scope)) is not None:
        return last
    asked = parse_qs(scope.get("query_string", b"").decode("latin-1"))
    return asked["since"][0] if "since" in asked else None


def _routes(*patterns: Any) -> URLResolver:
    return URLResolver(RegexPattern(r"^/"), list(patterns))


SOCKETS = _routes(
    path("ws/sessions", _own_list),  # type: ignore[arg-type]
    path("ws/sessions/<uuid:session_id>", _own_session),  # type: ignore[arg-type]
    path("ws/share/<str:share_id>", _shared_session),  # type: ignore[arg-type]
    path("ws/<str:share_id>", _shared_session),  # type: ignore[arg-type]
)
STREAMS = _routes(
    path("api/sessions/<uuid:session_id>/events", _own_events),  # type: ignore[arg-type]
    path("share/<str:share_id>/events", _shared_events),  # type: ignore[arg-type]
    path("api/sessions/<uuid:session_id>/turns/<uuid:turn_id>/events", _turn_events),  # type: ignore[arg-type]
)


def _find(routes: URLResolver, address: str) -> tuple[Connection, dict[str, Any]] | None:
    try:
        match = routes.resolve(address)
    except Resolver404:
        return None
    return match.func, match.kwargs


class Router:
    """The application: sockets, event streams, and the pool for requests that answer at once."""

    def __init__(self, requests: ASGI3Application) -> None:
        self.requests = requests

    @staticmethod
    def begin() -> None:
        """Begins what the running event loop does beside answering; called again, it does nothing."""
        hints.use_loop(asyncio.get_running_loop())
        if settings.GANDER.turns_run_in == "server":
            executor()
        else:
            sweep()

    async def __call__(self, scope: Any, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        self.begin()
        if scope["type"] == "http":
            # daphne takes a root path from a header that any client may send.
            scope["root_path"] = ""
            scope["path"] = guide.api_path(scope)
            found = _find(STREAMS, scope["path"]) if scope["method"] == "GET" else None
            if found is not None:
                await _stream(scope, receive, send, *found)
            elif scope["method"] == "POST" and turn_stream.begins(scope):
                await turn_stream.serve(self.requests, scope, receive, send)
            else:
                await self.requests(scope, receive, send)
        elif scope["type"] == "websocket":
            await _socket(scope, receive, send)
        elif scope["type"] == "lifespan":
            await _lifespan(receive, send)


async def _socket(scope: Any, receive: Any, send: Any) -> None:
    found = _find(SOCKETS, scope["path"])
    who = await in_thread(admit, {**scope, "scheme": _http_scheme(scope)})
    if found is None or who.refused or not who.same_origin:
        # Before it is accepted, a closed socket is a refused request.
        await receive()
        await send({"type": "websocket.close", "code": NOT_SHARED, "reason": None})
        return
    connection, values = found
    await connection(scope, receive, send, _without_cookie(scope, who), **values)


def _http_scheme(scope: Any) -> str:
    return "https" if scope.get("scheme") == "wss" else "http"


def _without_cookie(scope: Any, who: Admission) -> Admission:
    """A browser always says where a socket comes from: without an origin, a cookie counts for nothing."""
    if who.by_cookie and not any(name == b"origin" for name, _ in scope["headers"]):
        return Admission(AnonymousUser(), False, False, True, None)
    return who


async def _stream(
    scope: Any, receive: Any, send: Any, connection: Connection, values: dict[str, Any]
) -> None:
    who = await in_thread(admit, scope)
    if who.refused is not None:
        await _respond(send, who.refused)
        return
    await connection(scope, receive, send, who, **values)


async def _respond(send: Any, response: HttpResponse) -> None:
    headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in response.items()]
    await send(
        {
            "type": "http.response.start",
            "status": response.status_code,
            "headers": headers,
            "trailers": False,
        }
    )
    await send({"type": "http.response.body", "body": response.content, "more_body": False})


async def _lifespan(receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        else:
            await send({"type": "lifespan.shutdown.complete"})
            return
