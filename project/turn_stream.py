"""Messages to agents: answered by the API as any request is, and then followed as an event stream."""

import re
import uuid
from collections.abc import Callable
from typing import Any

from asgiref.typing import ASGI3Application

from project.admission import admit
from sessions_app.agent.api import FOLLOW_HEADER
from sessions_app.agent.events import Event
from sessions_app.agent.follow import follow, is_number, refuse_last
from sessions_app.agent.goose_api import Encoder
from sessions_app.live import doors
from sessions_app.live.streams import last_event
from sessions_app.live.threads import in_thread

_MESSAGES = re.compile(r"^/api/(?:sessions/[0-9a-f-]{36}/messages|reply)$")
_REPLY = "/api/reply"
_HEADER = FOLLOW_HEADER.lower().encode()


def begins(scope: dict[str, Any]) -> bool:
    """Whether this POST begins a turn that its client wants to follow."""
    return bool(_MESSAGES.match(scope["path"])) and not _wants_json(scope)


def _wants_json(scope: dict[str, Any]) -> bool:
    accepted = b",".join(value for name, value in scope["headers"] if name == b"accept")
    return b"application/json" in accepted and b"text/event-stream" not in accepted


async def serve(requests: ASGI3Application, scope: Any, receive: Any, send: Any) -> None:
    """Has the request answered; where a turn came of it, its events are the answer, else what was answered."""
    last = last_event(scope)
    if not is_number(last):
        # Before a turn is begun that could not be followed.
        await refuse_last(send)
        return
    answer: list[dict[str, Any]] = []

    async def hold(message: Any) -> None:
        answer.append(message)

    await requests(scope, receive, hold)
    headers = dict(answer[0]["headers"]) if answer else {}
    named = headers.get(_HEADER)
    if named is None:
        for message in answer:
            await send(message)
        return
    session, turn, age = named.decode().split("/")
    session_id, turn_id = uuid.UUID(session), uuid.UUID(turn)
    # Of a turn that has just begun nobody has anything: the event was another turn's.
    last = None if age == "new" else last
    who = await in_thread(admit, scope)
    encode: Callable[[Event], str] = Encoder() if scope["path"] == _REPLY else str
    await follow(doors.of_owner(who, session_id), turn_id, last, receive, send, encode)
