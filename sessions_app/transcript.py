"""A window of a session as its page shows it, the same for owner and readers: turns, and what was done in them."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.http import Http404, HttpRequest
from django.utils.safestring import SafeString

from sessions_app import window
from sessions_app.changes import text
from sessions_app.listing import BadCursor
from sessions_app.models import FileDiff, Message, Part, Status
from sessions_app.reading import Reading
from sessions_app.render.errors import error_of
from sessions_app.render.part import part_html
from sessions_app.render.steps import WORDS_JSON, Run, ShownPart, Steps, call_of, is_step
from sessions_app.render.tool import obj
from sessions_app.text import storable_throughout


@dataclass(frozen=True, slots=True)
class ShownMessage:
    """A message with everything its template says; an agent's content stands in blocks."""

    row: Message
    data: dict[str, Any]
    blocks: list[Steps | ShownPart]
    source: str
    reverted: bool
    # Whether its reader may fork the session at it.
    own: bool = False

    @property
    def id(self) -> str:
        return self.row.external_id

    @property
    def order(self) -> str:
        """Sorts as the session does, in a browser too."""
        return window.order_of(self.row)

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
    def finished(self) -> bool:
        """Whether nothing more is to be expected of it."""
        return self.role != "assistant" or bool(obj(self.data.get("time")).get("completed") or self.error)

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

    id: str
    prompt: ShownMessage | None
    reverted: bool
    answers: list[ShownMessage | Steps] = field(default_factory=list)
    # What it did to files, where its end is in the window.
    changed: list[FileDiff] = field(default_factory=list)


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
    found = turns(shown(reading, page.messages, base), _prompt_before(reading, page.messages))
    if reading.session.shown_status in (Status.WORKING, Status.WAITING) and not page.after and found:
        newest = _open_steps(found[-1].answers)
        if newest is not None:
            newest.newest = True
    # A turn that goes on behind the window ends there.
    behind = window.later(reading.messages(), page.after).first() if page.after else None
    ending = found[:-1] if behind and behind.role != "user" else found
    changed = reading.changes_of_turns(turn.id for turn in ending if not turn.reverted)
    for turn in ending:
        turn.changed = changed.get(turn.id, [])
    return {
        "reading": reading,
        "session": reading.session,
        "turns": [turn for turn in found if not turn.reverted],
        "reverted": [turn for turn in found if turn.reverted],
        "revert": reading.revert_mark,
        "newest": _newest(reading, page),
        "previous": page.before,
        "next": page.after,
        "outline_at": page.messages[0].external_id if page.messages and page.before else "",
        "step_words": WORDS_JSON,
        "base": base,
        "view": "conversation",
    }


def _newest(reading: Reading, page: window.Page) -> str:
    """Where the session's last message stands, in the window or behind it."""
    last = page.messages[-1] if page.messages and not page.after else window.last(reading)
    return window.order_of(last) if last else ""


def _prompt_before(reading: Reading, messages: list[Message]) -> str:
    """The prompt whose turn goes on at the window's beginning."""
    if not messages or messages[0].role == "user":
        return ""
    asked = window.earlier(reading.messages().filter(role="user"), messages[0])
    return asked.values_list("external_id", flat=True).first() or ""


def turns(messages: Iterable[ShownMessage], prompt_before: str = "") -> list[Turn]:
    """Messages by prompt; neighbours that hold only steps become one fold."""
    found: list[Turn] = []
    for message in messages:
        asked = message.role == "user"
        if asked or not found or found[-1].reverted != message.reverted:
            goes_on = found[-1].id if found else prompt_before
            found.append(
                Turn(
                    message.id if asked else goes_on or message.id,
                    message if asked else None,
                    message.reverted,
                )
            )
            if asked:
                continue
        answers = found[-1].answers
        steps = message.steps
        before = _open_steps(answers)
        if steps is None:
            answers.append(message)
        elif before is None:
            answers.append(steps)
        else:
            before.runs += steps.runs
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
    found = [
        ShownMessage(
            row=row,
            data=obj(storable_throughout(reading.message(row))),
            blocks=_blocks(reading, row, base),
            source=reading.session.get_source_display(),
            reverted=reading.is_reverted(row.external_id),
            own=not reading.masked,
        )
        for row in messages
    ]
    for message in found:
        if message.steps is not None:
            # The run stands for the whole message, and bears its name.
            (run,) = message.steps.runs
            run.id, run.order = message.id, message.order
    return found


def _blocks(reading: Reading, message: Message, base: str) -> list[Steps | ShownPart]:
    blocks: list[Steps | ShownPart] = []
    for part in message.parts.all():
        html = part_html(reading, part, role=message.role, base=base)
        if not html.strip():
            continue
        shown_part = ShownPart(f"{part.pk}:{part.revision}", html)
        if not is_step(part) or message.role == "user":
            blocks.append(shown_part)
            continue
        last = blocks[-1] if blocks else None
        if not isinstance(last, Steps):
            last = Steps([Run()])
            blocks.append(last)
        last.runs[0].parts.append(shown_part)
        if call := call_of(reading, part):
            last.runs[0].calls.append(call)
    return blocks


def whole_part(reading: Reading, pk: int, base: str) -> SafeString:
    """One part with its output complete.

    Raises:
        Http404: the session has no such part.
    """
    part = _part(reading, pk)
    return part_html(reading, part, role=part.message.role, whole=True, base=base)


def part_data(reading: Reading, pk: int) -> dict[str, Any]:
    """What a part holds, as its reader may see it.

    Raises:
        Http404: the session has no such part.
    """
    return obj(storable_throughout(reading.part(_part(reading, pk))))


def _part(reading: Reading, pk: int) -> Part:
    part = Part.objects.filter(session=reading.session, pk=pk).select_related("message").first()
    if part is None:
        raise Http404
    return part
