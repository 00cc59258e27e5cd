"""The routes that goose's own clients know from goosed, where ours differ: the same acts under its names and in its form."""

import json
import uuid
from typing import Any

from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from ninja import Schema
from ninja import Status as Answer
from pydantic import Field

from sessions_app import acts, ingest, json_text
from sessions_app.agent import ids
from sessions_app.agent.api import FOLLOW_HEADER, Problem, Text, begin, decide_call, followed, turn_out
from sessions_app.agent.events import Event
from sessions_app.agent.models import Action
from sessions_app.api import SessionOut, own, router, session_out
from sessions_app.changes import Malformed
from sessions_app.formats import goose, goose_import
from sessions_app.links import base_url
from sessions_app.models import Session, Source, Status
from sessions_app.reading import Reading

__all__ = ["Encoder", "router"]

_MOST_NAME_BYTES = 200


class Name(Schema):
    name: str


class Import(Schema):
    json_: str = Field(alias="json", description="The text of an export, JSON or JSONL")


class UserMessage(Schema):
    content: list[dict[str, Any]]


class Reply(Schema):
    session_id: uuid.UUID
    user_message: UserMessage


class Confirmation(Schema):
    id: Text = Field(description="The tool call's")
    sessionId: uuid.UUID
    action: str


@router.get(
    "/sessions/{uuid:session_id}/export",
    response=str,
    summary="The session as goose's export, the text of a JSON document within a JSON string",
)
def export_session(request: HttpRequest, session_id: uuid.UUID) -> HttpResponse:
    exported = goose.export(Reading(own(request, session_id)))
    text = json.dumps(exported, indent=2, ensure_ascii=False)
    return HttpResponse(json_text.dumps(text), content_type="application/json")


@router.post("/sessions/import", response={201: SessionOut}, summary="Take in an export of goose's")
def import_session(request: HttpRequest, given: Import) -> Any:
    try:
        found = goose_import.parse(given.json_)
    except Malformed as error:
        raise Problem(422, "invalid", f"This is no session of goose's: {error}.", "json") from None
    with transaction.atomic():
        session = Session.objects.create(
            owner=request.user,  # type: ignore[misc]
            source=Source.GOOSE,
            # Each import is a session of its own, as with goose.
            external_id=ids.ascending("ses"),
        )
        session = ingest.apply(session, found.changes)
        # Whatever its last message says, nobody works on it any more.
        session.status = Status.IDLE
        session.save(update_fields=["status"])
    return Answer(201, session_out(session, base_url(request)))


@router.put("/sessions/{uuid:session_id}/name", response={200: None}, summary="Rename, as goose does")
def name_session(request: HttpRequest, session_id: uuid.UUID, given: Name) -> HttpResponse:
    name = given.name.strip()
    if not name or len(name.encode("utf-8", "replace")) > _MOST_NAME_BYTES:
        raise Problem(422, "invalid", f"A name has 1 to {_MOST_NAME_BYTES} bytes.", "name")
    try:
        acts.update(own(request, session_id), title=name)
    except Session.DoesNotExist:
        raise Http404 from None
    return HttpResponse(status=200)


@router.post(
    "/reply", response={202: dict[str, Any]}, summary="Send a message, and follow the turn in goosed's events"
)
def reply(request: HttpRequest, given: Reply, response: HttpResponse) -> Any:
    turn, is_new = begin(own(request, given.session_id), given.user_message.content)
    response[FOLLOW_HEADER] = followed(turn, is_new)
    return Answer(202, turn_out(turn))


@router.post(
    "/action-required/tool-confirmation",
    response=dict[str, Any],
    summary="Decide about a tool call, as goose does",
)
def confirm(request: HttpRequest, given: Confirmation) -> Any:
    # goosed takes what it does not know, and its cancel, for a refusal.
    action = Action(given.action) if given.action in Action.values else Action.DENY_ONCE
    decide_call(own(request, given.sessionId), given.id, action, request.user)
    return {}


class Encoder:
    """A turn's events as goosed's ``/reply`` sends them: ``data:`` alone, what is said in messages of goose's form.

    Successive pieces of one text bear the same message id, and each only what is new.
    """

    def __init__(self) -> None:
        self._count = 0
        self._last = ""
        self._stem = uuid.uuid4().hex[:12]

    def __call__(self, event: Event) -> str:
        data = event.data
        match event.name:
            case "message_chunk":
                return self._message("assistant", "text", {"type": "text", "text": data["text"]})
            case "reasoning_chunk":
                thinking = {"type": "thinking", "thinking": data["text"], "signature": ""}
                return self._message("assistant", "thinking", thinking)
            case "tool_call":
                value = {"name": data["tool"], "arguments": data["arguments"]}
                call = {
                    "type": "toolRequest",
                    "id": data["call"],
                    "toolCall": {"status": "success", "value": value},
                }
                return self._message("assistant", "", call)
            case "approval_required":
                asked = {
                    "actionType": "toolConfirmation",
                    "id": data["call"],
                    "toolName": data["tool"],
                    "arguments": data["arguments"],
                }
                return self._message("assistant", "", {"type": "actionRequired", "data": asked})
            case "tool_result":
                content = [{"type": "text", "text": data["result"]}]
                value = {"content": content, "isError": data["status"] == "error"}
                result = {"status": "success", "value": value}
                return self._message(
                    "user", "", {"type": "toolResponse", "id": data["call"], "toolResult": result}
                )
            case "error":
                return _frame({"type": "Error", "error": data["message"]})
            case _:
                return _frame({"type": "Finish", "reason": "stop", "token_state": _tokens(data)})

    def _message(self, role: str, kind: str, content: dict[str, Any]) -> str:
        if not kind or kind != self._last:
            self._count += 1
        self._last = kind
        message = {
            "id": f"msg_{self._stem}_{self._count}",
            "role": role,
            "created": ids.milliseconds() // 1000,
            "content": [content],
            "metadata": {"userVisible": True, "agentVisible": True},
        }
        return _frame({"type": "Message", "message": message, "token_state": _tokens({})})


def _tokens(data: dict[str, Any]) -> dict[str, int]:
    usage = data.get("usage") or {}
    given, made = int(usage.get("input_tokens", 0)), int(usage.get("output_tokens", 0))
    counts = {"inputTokens": given, "outputTokens": made, "totalTokens": given + made}
    return {**counts, **{f"accumulated{name[0].upper()}{name[1:]}": value for name, value in counts.items()}}


def _frame(data: dict[str, Any]) -> str:
    return f"data: {json_text.dumps(data)}\n\n"
