"""What a session's agent is at just now, in words: for the page of its owner, and for what that page is sent live."""

from dataclasses import dataclass
from typing import Any

from sessions_app.agent.models import Action, AgentSettings, Approval, State, Turn
from sessions_app.models import Part, Session
from sessions_app.reading import Reading
from sessions_app.render.tool import Tool, obj, txt

_WORDS = {
    State.QUEUED: "About to begin",
    State.RUNNING: "Working",
    State.WAITING: "Waiting for you",
}
_HINTS = {
    State.FAILED: "The last turn failed; the end of the conversation says why. Send a message to go on.",
    State.INTERRUPTED: "The last turn was interrupted because the server stopped. What it had done is kept; "
    "send a message to go on.",
}
# Of what a call wants to do, so much is shown beside the question; all of it stands in the conversation.
_MOST_LINES = 40
_MOST_CHARACTERS = 4000
_FEW_LINES = 12


@dataclass(frozen=True, slots=True)
class Asked:
    """A tool call that waits for its owner's word."""

    call: str
    part: str
    tool: Tool
    # What it would do: a patch, code of a file, or its input as JSON.
    form: str
    text: str
    cut: bool

    @property
    def actions(self) -> list[Action]:
        return list(Action)

    @property
    def lines(self) -> int:
        return self.text.count("\n") + 1

    @property
    def short(self) -> bool:
        """Whether it is seen at a glance."""
        return self.lines <= _FEW_LINES


@dataclass(frozen=True, slots=True)
class AgentState:
    """The last turn of a session, as its owner sees it."""

    turn: Turn | None
    asked: list[Asked]

    @property
    def active(self) -> bool:
        return self.turn is not None and self.turn.active

    @property
    def stopping(self) -> bool:
        return self.turn is not None and self.turn.active and self.turn.cancelling

    @property
    def status(self) -> str:
        """Which status it reads as: ``working`` or ``waiting``."""
        return "waiting" if self.asked else "working"

    @property
    def words(self) -> str:
        if self.turn is None or not self.turn.active:
            return ""
        if self.stopping:
            return "Stopping"
        return "Waiting for you" if self.asked else _WORDS[State(self.turn.state)]

    @property
    def hint(self) -> str:
        """What to do about a turn that did not come to its end."""
        return _HINTS.get(State(self.turn.state), "") if self.turn is not None else ""

    @property
    def missing(self) -> list[str]:
        """Why extensions that are on are not there in this turn."""
        return list(self.turn.missing or []) if self.turn is not None else []

    @property
    def key(self) -> str:
        """Changes whenever anything of it does."""
        if self.turn is None:
            return "none"
        calls = " ".join(asked.call for asked in self.asked)
        return f"{self.turn.pk} {self.turn.state} {self.words} {calls} {' '.join(self.missing)}"


def of(session: Session) -> AgentState | None:
    """What its agent is at; nothing of a session that Gander does not run."""
    if not AgentSettings.objects.filter(session=session).exists():
        return None
    turn = session.turns.order_by("-created_at").first()
    if turn is None or not turn.active:
        return AgentState(turn, [])
    reading = Reading(session)
    rows = list(turn.approvals.filter(action=""))
    parts = {
        (part.message.external_id, part.external_id): part
        for part in Part.objects.filter(
            session=session, external_id__in=[row.part for row in rows]
        ).select_related("message")
    }
    found = [_asked(row, parts.get((row.message, row.part)), reading) for row in rows]
    return AgentState(turn, found)


def _asked(row: Approval, part: Part | None, reading: Reading) -> Asked:
    data: dict[str, Any] = obj(reading.part(part)) if part is not None else {}
    tool = Tool({"tool": row.tool, **data}, reading.directory, own=True)
    patches = tool.wanted_patches
    match tool.kind:
        case "edit" if patches:
            form, text = "diff", "".join(patch for _, patch in patches)
        case "write":
            form, text = "code", txt(tool.input.get("content"))
        case "bash":
            form, text = "plain", tool.command
        case _:
            form, text = "json", tool.pretty_input
    head = "\n".join(text.split("\n", _MOST_LINES)[:_MOST_LINES])[:_MOST_CHARACTERS]
    return Asked(row.call, row.part, tool, form, head, cut=len(head) < len(text.rstrip("\n")))
