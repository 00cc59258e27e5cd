"""The access table of what waits: every socket and event stream, asked by everyone. A route without a row fails."""

import asyncio
import json
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection

from project.accounts import tokens
from project.accounts.models import Scope, User
from project.routing import SOCKETS, STREAMS, Router
from sessions_app import acts
from sessions_app.agent.models import Turn
from tests import factories

pytestmark = pytest.mark.django_db(transaction=True)

WHO = ("owner", "member", "staff", "visitor")
# Each row: what owner, member, staff and visitor get while the link is open, then while it is closed. Of a socket, True
# is being let in, a number the code that it is closed with; of a stream, the status.
SOCKET_TABLE: dict[str, tuple[tuple[Any, ...], tuple[Any, ...]]] = {
    "ws/sessions": ((True, True, True, 4401), (True, True, True, 4401)),
    "ws/sessions/<uuid:session_id>": ((True, 4404, 4404, 4404), (True, 4404, 4404, 4404)),
    "ws/share/<str:share_id>": ((True, True, True, True), (4404, 4404, 4404, 4404)),
    "ws/<str:share_id>": ((True, True, True, True), (4404, 4404, 4404, 4404)),
}
STREAM_TABLE: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "api/sessions/<uuid:session_id>/events": ((200, 404, 404, 401), (200, 404, 404, 401)),
    "share/<str:share_id>/events": ((200, 200, 200, 200), (404, 404, 404, 404)),
    "api/sessions/<uuid:session_id>/turns/<uuid:turn_id>/events": (
        (200, 404, 404, 401),
        (200, 404, 404, 401),
    ),
}


def test_every_route_has_a_row() -> None:
    assert [str(route.pattern) for route in SOCKETS.url_patterns] == list(SOCKET_TABLE)
    assert [str(route.pattern) for route in STREAMS.url_patterns] == list(STREAM_TABLE)


async def ask(kind: str, path: str, headers: dict[str, str]) -> Any:
    """What a connection is answered first."""
    incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    answers: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    socket = kind == "websocket"
    incoming.put_nowait({"type": "websocket.connect"} if socket else {"type": "http.request"})
    if socket:
        incoming.put_nowait({"type": "websocket.receive", "text": json.dumps({"since": 0})})
    scope = {
        "type": kind,
        "method": "GET",
        "path": f"/{path}",
        "query_string": b"",
        "scheme": "ws" if socket else "http",
        "headers": [
            (b"host", b"localhost"),
            *((name.lower().encode(), value.encode()) for name, value in headers.items()),
        ],
    }
    running = asyncio.ensure_future(Router(None)(scope, incoming.get, answers.put))  # type: ignore[arg-type]
    try:
        while True:
            answer = await asyncio.wait_for(answers.get(), 10)
            match answer["type"]:
                case "websocket.close":
                    return answer["code"]
                case "websocket.send":
                    return True
                case "http.response.start":
                    return answer["status"]
    finally:
        incoming.put_nowait({"type": "websocket.disconnect" if socket else "http.disconnect"})
        await asyncio.wait_for(running, 10)


def on_a_loop(work: Any) -> Any:
    async def clean() -> Any:
        try:
            return await work
        finally:
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, clean()).result()


CASES = [
    pytest.param(kind, route, state, index, id=f"{route} {('open', 'closed')[state]} {who}")
    for kind, table in (("websocket", SOCKET_TABLE), ("http", STREAM_TABLE))
    for route in table
    for state in (0, 1)
    for index, who in enumerate(WHO)
]


@pytest.mark.parametrize(("kind", "route", "state", "index"), CASES)
def test_access(alice: User, bob: User, dora: User, kind: str, route: str, state: int, index: int) -> None:
    session = factories.session(alice, shared=True)
    if state:
        acts.update(session, shared=False)
    turn = Turn.objects.create(session=session, prompt="msg_1", mode="approve", state="done")
    connection.close()
    values = {"session_id": str(session.pk), "share_id": session.share_id, "turn_id": str(turn.pk)}
    path = re.sub(r"<\w+:(\w+)>", lambda match: values[match[1]], route)
    who = {"owner": alice, "member": bob, "staff": dora}.get(WHO[index])
    headers = {"Authorization": f"Bearer {tokens.issue(who, 'p')}"} if who else {}
    table: Any = SOCKET_TABLE if kind == "websocket" else STREAM_TABLE
    assert on_a_loop(ask(kind, path, headers)) == table[route][state][index]


@pytest.mark.parametrize(("policy", "member", "visitor"), [("team", 200, 404), ("off", 404, 404)])
def test_the_installations_policy_holds(
    alice: User, bob: User, configure: Callable[..., None], policy: str, member: int, visitor: int
) -> None:
    session = factories.session(alice, shared=True)
    configure(sharing=policy)
    secret = tokens.issue(bob, "p")
    connection.close()
    path = f"share/{session.share_id}/events"
    assert on_a_loop(ask("http", path, {"Authorization": f"Bearer {secret}"})) == member
    assert on_a_loop(ask("http", path, {})) == visitor


@pytest.mark.parametrize("scope", [Scope.INGEST, Scope.OPENCODE])
def test_a_token_that_may_only_share_watches_nothing(alice: User, scope: Scope) -> None:
    session = factories.session(alice)
    headers = {"Authorization": f"Bearer {tokens.issue(alice, 'p', scope)}"}
    connection.close()
    assert on_a_loop(ask("websocket", f"ws/sessions/{session.pk}", headers)) == 4404
    assert on_a_loop(ask("http", f"api/sessions/{session.pk}/events", headers)) == 403
    assert on_a_loop(ask("http", f"api/sessions/{session.pk}/turns/{session.pk}/events", headers)) == 403


@pytest.mark.parametrize("path", ["ws/share/%00", "ws/share/\x00", "ws/sessions/x", "ws", "ws/a/b/c"])
def test_odd_addresses_are_refused(db: None, path: str) -> None:
    assert on_a_loop(ask("websocket", path, {})) == 4404
