"""A window of a session as its page shows it, the same for owner and readers: turns, and what was done in them."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from django.http import Http404, HttpRequest
from django.utils.safestring import SafeString

from sessions_app import window
from sessions_app.changes import text
from sessions_app.listing import BadCursor
from sessions_app.models import Message, Part
from sessions_app.reading import Reading
from sessions_app.render.part import error_of, part_html
from sessions_app.render.tool import Tool, obj, txt
from sessions_app.text import storable_throughout

# What belongs to the agent's working and not to its answer.
_STEPS = {"tool", "step-start", "step-finish", "snapshot", "patch", "reasoning", "retry", "subtask", "agent"}
_DID = {
    "bash": ("ran {} command", "ran {} commands"),
    "read": ("read {} file", "read {} files"),
    "write": ("wrote {} file", "wrote {} files"),
    "edit": ("edited {} file", "edited {} files"),
    "patch": ("patched files {} time", "patched files {} times"),
    "search": ("searched {} time", "searched {} times"),
    "web": ("looked at {} page", "looked at {} pages"),
    "task": ("delegated {} task", "delegated {} tasks"),
    "todo": ("planned", "planned"),
}


class Call(NamedTuple):
    """What a fold says of a tool call: nothing of its content, so that it need be neither masked nor rendered."""

    kind: str
    status: str
    seconds: float | None


@dataclass(slots=True)
class Steps:
    """Consecutive tool calls and what stands between them, folded to one line that says it in words."""

    html: list[SafeString] = field(default_factory=list)
    tools: list[Call] = field(default_factory=list)
    anchors: list[str] = field(default_factory=list)

    @property
    def folds(self) -> bool:
        """A single call is its own one line."""
        return len(self.tools) > 1

    @property
    def failed(self) -> bool:
        return any(tool.status == "error" for tool in self.tools)

    @property
    def summary(self) -> str:
        done = Counter(tool.kind for tool in self.tools)
        said = [_DID[kind][count > 1].format(count) for kind, count in done.items() if kind in _DID]
        other = sum(count for kind, count in done.items() if kind not in _DID)
        if other:
            said.append(f"called {other} other tool{'s' if other > 1 else ''}")
        return ", ".join(said)

    @property
    def seconds(self) -> float | None:
        known = [tool.seconds for tool in self.tools if tool.seconds is not None]
        return sum(known) if known else None


@dataclass(frozen=True, slots=True)
class ShownMessage:
    """A message with everything its template says; an agent's content stands in blocks."""

    row: Message
    data: dict[str, Any]
    blocks: list[Steps | SafeString]
    source: str
    reverted: bool

    @property
    def id(self) -> str:
        return self.row.external_id

    @property
    def role(self) -> str:
        return self.row.role if self.row.role in {"user", "assistant"} else "other"

    @property
    def speaker(self) -> str:
        return {"user": "You", "assistant": self.source}.get(self.role, self.row.role or "Message")

    @property
    def created_at(self) -> datetime:
        return self.row.created_at

    @property
    def model(self) -> str:
        return text(self.data, "modelID")

    @property
    def tokens(self) -> int:
        return self.row.tokens

    @property
    def error(self) -> dict[str, str] | None:
        return error_of(self.data.get("error"))

    @property
    def interrupted(self) -> bool:
        return bool(self.error) and self.error["name"] == "MessageAbortedError"  # type: ignore[index]

    @property
    def compaction(self) -> bool:
        return self.data.get("summary") is True

    @property
    def steps(self) -> Steps | None:
        """The message's steps, where it holds nothing else: such messages fold together with their neighbours."""
        (block,) = self.blocks if len(self.blocks) == 1 else (None,)
        return block if isinstance(block, Steps) and not self.error and not self.compaction else None


@dataclass(slots=True)
class Turn:
    """A prompt and what the agent made of it; without a prompt, what goes on from before the window."""

    prompt: ShownMessage | None
    answers: list[ShownMessage | Steps] = field(default_factory=list)

    @property
    def id(self) -> str:
        if self.prompt:
            return self.prompt.id
        first = self.answers[0]
        return first.anchors[0] if isinstance(first, Steps) else first.id

    @property
    def reverted(self) -> bool:
        return bool(self.prompt and self.prompt.reverted)


def context(request: HttpRequest, reading: Reading, base: str) -> dict[str, Any]:
    """What the session page's template needs; ``base`` is the page's own address.

    Raises:
        Http404: the window asked for is none that a page gave out.
    """
    asked = request.GET
    try:
        if "at" in asked:
            page = window.around(reading, asked["at"])
        else:
            page = window.before_or_after(
                reading, before=asked.get("before", ""), after=asked.get("after", "")
            )
    except BadCursor as error:
        raise Http404 from error
    return {
        "reading": reading,
        "session": reading.session,
        "turns": turns(shown(reading, page.messages, base)),
        "previous": page.before,
        "next": page.after,
        "base": base,
        "view": "conversation",
    }


def turns(messages: Iterable[ShownMessage]) -> list[Turn]:
    """Messages by prompt; neighbours that hold only steps become one fold."""
    found: list[Turn] = []
    for message in messages:
        if message.role == "user" or not found:
            found.append(Turn(message if message.role == "user" else None))
            if message.role == "user":
                continue
        answers = found[-1].answers
        steps = message.steps
        before = _open_steps(answers)
        if steps is None:
            answers.append(message)
        elif before is None:
            steps.anchors.append(message.id)
            answers.append(steps)
        else:
            before.html += steps.html
            before.tools += steps.tools
            before.anchors.append(message.id)
    return found


def _open_steps(answers: list[ShownMessage | Steps]) -> Steps | None:
    """The steps that a turn ends with so far, which further ones go on."""
    last = answers[-1] if answers else None
    if isinstance(last, ShownMessage):
        ending = last.blocks[-1] if last.blocks and not last.error and not last.compaction else None
        return ending if isinstance(ending, Steps) and last.role != "user" else None
    return last


def shown(reading: Reading, messages: list[Message], base: str) -> list[ShownMessage]:
    """The messages with their parts rendered."""
    reverted_from = txt(obj(obj(reading.info()).get("revert")).get("messageID"))
    return [
        ShownMessage(
            row=row,
            data=obj(storable_throughout(reading.message(row))),
            blocks=_blocks(reading, row, base),
            source=reading.session.get_source_display(),
            reverted=bool(reverted_from) and row.external_id >= reverted_from,
        )
        for row in messages
    ]


def _blocks(reading: Reading, message: Message, base: str) -> list[Steps | SafeString]:
    blocks: list[Steps | SafeString] = []
    for part in message.parts.all():
        html = part_html(reading, part, role=message.role, base=base)
        if not html.strip():
            continue
        if part.kind not in _STEPS or message.role == "user":
            blocks.append(html)
            continue
        last = blocks[-1] if blocks else None
        if not isinstance(last, Steps):
            last = Steps()
            blocks.append(last)
        last.html.append(html)
        if part.kind == "tool":
            tool = Tool(obj(part.data))
            last.tools.append(Call(tool.kind, tool.status, tool.seconds))
    return blocks


def whole_part(reading: Reading, pk: int, base: str) -> SafeString:
    """One part with its output complete.

    Raises:
        Http404: the session has no such part.
    """
    part = Part.objects.filter(session=reading.session, pk=pk).select_related("message").first()
    if part is None:
        raise Http404
    return part_html(reading, part, role=part.message.role, whole=True, base=base)
