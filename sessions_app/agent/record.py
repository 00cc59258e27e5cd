"""What a running turn has to write: it collects the agent's doings and hands them over, a few times a second, as changes.

Everything is in opencode's schema, one message for each answer of the model, so that pages, exports and readers need
know nothing of where a session ran.
"""

import re
from dataclasses import dataclass, field
from typing import Any

from sessions_app import changes
from sessions_app.agent import ids, turns
from sessions_app.agent.models import Approval, Turn, TurnEvent
from sessions_app.changes import Change, PartChange
from sessions_app.diffs import unified
from sessions_app.render.tool import obj
from sessions_app.text import storable

# What every provider takes as a call's id, and every address as a part of it.
_NO_NAME = re.compile(r"[^A-Za-z0-9_-]")
_LONGEST_NAME = 64
CHUNKS = {"text": "message_chunk", "reasoning": "reasoning_chunk"}


@dataclass(slots=True)
class Batch:
    """What is to be written at once."""

    changes: list[Change]
    events: list[TurnEvent]
    approvals: list[Approval] = field(default_factory=list)
    # The one text that has grown since it was last written, where nothing else came.
    grown: PartChange | None = None


@dataclass(slots=True)
class _Text:
    """A text that is being written: the pieces that came, and how much of it was announced."""

    data: dict[str, Any]
    pieces: list[str] = field(default_factory=list)
    length: int = 0
    announced: int = 0
    # Whether it was handed over before.
    known: bool = False

    def whole(self) -> str:
        if len(self.pieces) > 1:
            self.pieces = ["".join(self.pieces)]
        return self.pieces[0] if self.pieces else ""


class Record:
    """The content of one turn while it runs; knows neither database nor provider.

    Args:
        number: the last event's, where the turn goes on after a pause.
        calls: the tool parts that stand already, by call id, where it does.
        files: what it had changed already.
    """

    def __init__(
        self,
        turn: Turn,
        number: int = 0,
        calls: dict[str, dict[str, Any]] | None = None,
        files: dict[str, tuple[str, str]] | None = None,
    ) -> None:
        self.turn = turn
        self.calls = calls or {}
        self._number = number
        self._message: dict[str, Any] | None = None
        self._open: _Text | None = None
        self._changed_messages: dict[str, dict[str, Any]] = {}
        self._changed_parts: dict[str, dict[str, Any]] = {}
        self._events: list[TurnEvent] = []
        self._approvals: list[Approval] = []
        # The present answer's calls: providers number theirs from the beginning in each answer, or as they like.
        self._names = {call_id: call_id for call_id in self.calls}
        # What each file was before the turn, and what it is now.
        self.files = files or {}
        # Whether that was said since the last time.
        self.files_changed = False

    @property
    def answering(self) -> bool:
        """Whether the model's present answer has begun and not ended."""
        return self._message is not None

    def name_of_call(self, given: str) -> str:
        """Our own id of a call that the model made last under the id given; empty where it made none yet."""
        return self._names.get(given, "")

    def begin_answer(self) -> None:
        """The model begins to answer."""
        self._message = turns.answer(self.turn)
        self._touch_message()
        self._part({"type": "step-start"})

    def write(self, kind: str, text: str, **metadata: Any) -> None:
        """More of a ``text`` or of ``reasoning``; a change of kind ends the one before."""
        if self._message is None:
            self.begin_answer()
        if self._open is None or self._open.data["type"] != kind:
            self.end_text()
            self._open = _Text(self._part({"type": kind, "text": "", "time": {"start": ids.milliseconds()}}))
        if metadata:
            self._open.data["metadata"] = {**obj(self._open.data.get("metadata")), **metadata}
        if text:
            text = storable(text)
            self._open.pieces.append(text)
            self._open.length += len(text)
        self._changed_parts[self._open.data["id"]] = self._open.data

    def end_text(self) -> None:
        """The text that was being written is whole."""
        if self._open is not None:
            self._announce_text()
            self._open.data["time"]["end"] = ids.milliseconds()
            self._changed_parts[self._open.data["id"]] = self._open.data
            self._open = None

    def call(self, given: str, tool: str, arguments: dict[str, Any]) -> None:
        """The model wants a tool called; within its present answer an id is one call."""
        self.end_text()
        if self._message is None:
            self.begin_answer()
        known = self.calls.get(self._names.get(given, ""))
        if known is not None and self._message is not None and known["messageID"] == self._message["id"]:
            return
        call_id = _NO_NAME.sub("_", given)[:_LONGEST_NAME]
        if not call_id or call_id in self.calls:
            call_id = ids.ascending("call")
        self._names[given] = call_id
        state = {"status": "pending", "input": arguments, "raw": ""}
        self.calls[call_id] = self._part({"type": "tool", "callID": call_id, "tool": tool, "state": state})
        self._event("tool_call", self.calls[call_id])

    def ask(self, call_id: str, tool: str) -> None:
        """The call waits for its owner's word."""
        part = self.calls[call_id]
        metadata = {**obj(part["state"].get("metadata")), "approval": "asked"}
        self._state(part, {**part["state"], "metadata": metadata})
        self._event("approval_required", part)
        place = {"message": part["messageID"], "part": part["id"]}
        self._approvals.append(Approval(turn=self.turn, call=call_id, tool=tool, **place))

    def running(self, call_id: str, action: str = "") -> None:
        """The call is being made, allowed by a person where ``action`` says so."""
        part = self.calls[call_id]
        state = {**part["state"], "status": "running", "time": {"start": ids.milliseconds()}}
        if action:
            state["metadata"] = {**obj(state.get("metadata")), "approval": action}
        self._state(part, state)

    def result(
        self,
        call_id: str,
        text: str,
        *,
        failed: bool,
        title: str = "",
        metadata: dict[str, Any] | None = None,
        change: tuple[str, str, str] | None = None,
    ) -> None:
        """What the call came to."""
        part = self.calls[call_id]
        state = part["state"]
        now = ids.milliseconds()
        times = {"start": obj(state.get("time")).get("start", now), "end": now}
        said = {**obj(state.get("metadata")), **(metadata or {})}
        text = storable(text)
        ended: dict[str, Any] = (
            {"status": "error", "error": text} if failed else {"status": "completed", "output": text}
        )
        self._state(part, {**ended, "input": state["input"], "title": title, "metadata": said, "time": times})
        self._event("tool_result", part)
        if change is not None:
            file, before, after = change
            self.files[file] = (self.files.get(file, (before, ""))[0], after)
            self.files_changed = True

    def end_answer(self, finish: str, tokens: dict[str, Any], cost: float) -> None:
        """The model has answered; ``finish`` is ``stop`` or ``tool-calls``."""
        self.end_text()
        if self._message is None:
            return
        self._part({"type": "step-finish", "reason": finish, "tokens": tokens, "cost": cost})
        self._message["time"]["completed"] = ids.milliseconds()
        self._message.update({"finish": finish, "tokens": tokens, "cost": cost})
        self._touch_message()
        self._message = None

    def fail(self, name: str, code: str, message: str, status: int | None = None) -> None:
        """The turn ends with an error, what was received is kept."""
        message = storable(message)
        self._close(message)
        if self._message is None:
            self._message = turns.answer(self.turn)
        data: dict[str, Any] = {"message": message}
        if status is not None:
            data["statusCode"] = status
        self._message["error"] = {"name": name, "data": data}
        self._message["time"]["completed"] = ids.milliseconds()
        self._touch_message()
        self._message = None
        self._add(TurnEvent(name="error", data={"code": code, "message": message}))

    def stop(self, why: str) -> None:
        """The turn ends before the agent is done."""
        self._close(why)
        message = self._message or turns.answer(self.turn)
        self._changed_messages[message["id"]] = turns.aborted(message, why, ids.milliseconds())
        self._message = None

    def complete(self) -> None:
        """The last event."""
        self._add(TurnEvent(name="message_complete", data=turns.completion(self.turn)))

    def changed_files(self) -> list[dict[str, Any]]:
        """How the turn changed files, in opencode's form. It compares them, which takes a while; on any thread."""
        self.files_changed = False
        files = dict(self.files).items()
        return [_diff(file, before, after) for file, (before, after) in files if before != after]

    def take(self) -> Batch:
        """What has come since the last time. Texts are whole up to what was received."""
        self._announce_text()
        found: list[Change] = [changes.message(dict(data)) for data in self._changed_messages.values()]
        for data in self._changed_parts.values():
            if self._open is not None and data is self._open.data:
                data["text"] = self._open.whole()
            found.append(changes.part(dict(data)))
        batch = Batch(found, self._events, self._approvals, self._grown(found))
        self._changed_messages, self._changed_parts = {}, {}
        self._events, self._approvals = [], []
        return batch

    def _grown(self, found: list[Change]) -> PartChange | None:
        text = self._open
        if text is None:
            return None
        known, text.known = text.known, True
        match found:
            case [PartChange() as change] if known and change.external_id == text.data["id"]:
                return None if self._approvals else change
        return None

    def _close(self, why: str) -> None:
        self.end_text()
        for part in self.calls.values():
            if part["state"]["status"] in ("pending", "running"):
                self._state(part, turns.unfinished(part["state"], why, ids.milliseconds()))
                self._event("tool_result", part)

    def _announce_text(self) -> None:
        text = self._open
        if text is None:
            return
        text.data["text"] = text.whole()
        if text.length > text.announced:
            self._event(CHUNKS[text.data["type"]], text.data, text.announced, text.length)
            text.announced = text.length

    def _part(self, data: dict[str, Any]) -> dict[str, Any]:
        assert self._message is not None
        place = {"sessionID": self._message["sessionID"], "messageID": self._message["id"]}
        part = {"id": ids.ascending("prt"), **place, **data}
        self._changed_parts[part["id"]] = part
        return part

    def _state(self, part: dict[str, Any], state: dict[str, Any]) -> None:
        part["state"] = state
        self._changed_parts[part["id"]] = part

    def _touch_message(self) -> None:
        assert self._message is not None
        self._changed_messages[self._message["id"]] = self._message

    def _event(self, name: str, part: dict[str, Any], start: int = 0, end: int = 0) -> None:
        self._add(TurnEvent(name=name, message=part["messageID"], part=part["id"], start=start, end=end))

    def _add(self, event: TurnEvent) -> None:
        self._number += 1
        event.turn, event.number = self.turn, self._number
        self._events.append(event)


def _diff(file: str, before: str, after: str) -> dict[str, Any]:
    patch = unified(file, before, after)
    lines = patch.split("\n")[2:]
    return {
        "file": file,
        "patch": patch,
        "additions": sum(line.startswith("+") for line in lines),
        "deletions": sum(line.startswith("-") for line in lines),
        "status": "modified" if before else "added",
    }
