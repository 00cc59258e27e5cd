"""A turn's events as its stream sends them: the guide's, made from the rows that they point into."""

import uuid
from dataclasses import dataclass
from typing import Any

from sessions_app import json_text
from sessions_app.agent.models import Action, Turn, TurnEvent
from sessions_app.agent.record import CHUNKS, Batch
from sessions_app.changes import PartChange
from sessions_app.models import Part
from sessions_app.render.tool import obj, txt

# An event holds at most so much of a result; the session has it whole.
_LONGEST_RESULT = 100_000
# What is left of one where a stream has said a lot already.
_HEAD_OF_RESULT = 1000
AT_ONCE = 200
LAST = "message_complete"
_KINDS = {name: kind for kind, name in CHUNKS.items()}


@dataclass(frozen=True, slots=True)
class Event:
    """One event; ``number`` is its id in the stream, from 1."""

    number: int
    name: str
    data: dict[str, Any]

    def __str__(self) -> str:
        """As a stream has it (HTML standard §9.2)."""
        return f"id: {self.number}\nevent: {self.name}\ndata: {json_text.dumps(self.data)}\n\n"

    def shortened(self) -> "Event":
        """The same with the head of its result only; the session has it whole."""
        if len(txt(self.data.get("result"))) <= _HEAD_OF_RESULT:
            return self
        cut = {"result": self.data["result"][:_HEAD_OF_RESULT], "truncated": True}
        return Event(self.number, self.name, {**self.data, **cut})


def after(turn: uuid.UUID, number: int) -> list[Event]:
    """The events behind one, a bounded number of them, each whole."""
    rows = list(TurnEvent.objects.filter(turn=turn, number__gt=number)[:AT_ONCE])
    parts = _parts(turn, rows)
    return [Event(row.number, row.name, _data(row, parts)) for row in rows]


def of(batch: Batch) -> list[Event]:
    """The events of a batch that was just written, without reading it back: what they point into is part of it."""
    parts = {
        (change.message_id, change.external_id): change.data
        for change in batch.changes
        if isinstance(change, PartChange)
    }
    return [Event(row.number, row.name, _data(row, parts)) for row in batch.events]


def _parts(turn: uuid.UUID, rows: list[TurnEvent]) -> dict[tuple[str, str], dict[str, Any]]:
    wanted = {row.part for row in rows if row.part}
    if not wanted:
        return {}
    session = Turn.objects.filter(pk=turn).values("session")
    found = Part.objects.filter(session__in=session, external_id__in=wanted)
    return {
        (message, part): obj(data)
        for message, part, data in found.values_list("message__external_id", "external_id", "data")
    }


def _data(row: TurnEvent, parts: dict[tuple[str, str], dict[str, Any]]) -> dict[str, Any]:
    part = parts.get((row.message, row.part), {})
    if row.name in _KINDS:
        return {"type": _KINDS[row.name], "text": txt(part.get("text"))[row.start : row.end]}
    state = obj(part.get("state"))
    call = {"tool": txt(part.get("tool")), "call": txt(part.get("callID"))}
    match row.name:
        case "tool_call":
            return {**call, "status": "pending", "arguments": state.get("input", {})}
        case "approval_required":
            return {**call, "arguments": state.get("input", {}), "actions": list(Action.values)}
        case "tool_result":
            failed = state.get("status") == "error"
            text = txt(state.get("error" if failed else "output"))
            cut = {"truncated": True} if len(text) > _LONGEST_RESULT else {}
            return {
                **call,
                "status": "error" if failed else "completed",
                "result": text[:_LONGEST_RESULT],
                **cut,
            }
        case _:
            return obj(row.data)
