"""What changed in a session after a revision, as viewers get it: fragments of HTML, rows of JSON, or the bare news."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.db.models import IntegerField, Q, Sum, Value
from django.db.models.functions import Least, Length
from django.template.loader import render_to_string

from sessions_app import json_text, outline, transcript, window
from sessions_app.agent import state
from sessions_app.models import Message, Part, Session
from sessions_app.reading import Reading
from sessions_app.render.tool import obj

# Beyond this a viewer loads its page's content anew: that is one window, whatever the session's length.
_MOST_MESSAGES = 100
_MOST_CHARACTERS = 400_000
# What is read for it, where of one part no more counts than may be much: a long output alone is shown by its head.
_MOST_READ = 4_000_000
_MOST_OF_A_PART = 100_000
# A frame of an event stream holds at most so many rows, and about so many characters.
_MOST_ROWS = 500
_FEW = 20
_FRAME_CHARACTERS = 200_000


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far into a session's changes somebody has read: all of a revision, or of the next one up to a row.

    As text it is the revision, or ``revision+stage.key`` where it stands within the revision after that one.
    """

    revision: int
    row: tuple[int, int] | None = None

    @classmethod
    def read(cls, text: str) -> "Cursor":
        """The cursor of a ``Last-Event-ID``.

        Raises:
            ValueError: it is none of ours.
        """
        revision, plus, row = text.strip().partition("+")
        numbers = [revision, *(row.split(".") if plus else [])]
        if not all(number.isascii() and number.isdigit() and len(number) < 19 for number in numbers):
            raise ValueError("expected a revision")
        if len(numbers) == 1:
            return cls(int(revision))
        if len(numbers) != 3:
            raise ValueError("expected a revision")
        return cls(int(revision), (int(numbers[1]), int(numbers[2])))

    def __str__(self) -> str:
        return f"{self.revision}+{self.row[0]}.{self.row[1]}" if self.row else str(self.revision)

    def after(self, stage: int) -> Q:
        """The condition on rows of a stage (messages first, then parts) that come after this cursor."""
        if self.row is None:
            return Q(revision__gt=self.revision)
        here, key = self.row
        within = Q(revision=self.revision + 1)
        rest = within if stage > here else within & Q(pk__gt=key) if stage == here else Q(pk__in=())
        return Q(revision__gt=self.revision + 1) | rest


def news(reading: Reading, kind: str, name: str) -> dict[str, Any]:
    """What a plain client gets of every change."""
    session = reading.session
    return {
        "type": kind,
        "id": name,
        "revision": session.revision,
        "shared": session.shared,
        "title": reading.title,
    }


def messages_after(reading: Reading, since: int) -> list[Message] | None:
    """The messages of which anything changed after a revision, in order; nothing where they are too many to tell."""
    most = _MOST_MESSAGES + 1
    session = reading.session
    keys = {
        *session.messages.filter(revision__gt=since, placeholder=False).values_list("pk", flat=True)[:most],
        *session.parts.filter(revision__gt=since).values_list("message", flat=True).distinct()[:most],
    }
    if len(keys) > _MOST_MESSAGES or _characters(session, since) > _MOST_READ:
        return None
    return list(window.with_parts(reading).filter(pk__in=keys)) if keys else []


def _characters(session: Session, since: int) -> int:
    """About how much there is to read of the parts that changed."""
    of_each = Least(Length("data"), Value(_MOST_OF_A_PART))
    changed = session.parts.filter(revision__gt=since)
    return int(changed.aggregate(all=Sum(of_each, output_field=IntegerField()))["all"] or 0)


def has_messages_after(reading: Reading, since: int) -> bool:
    """Whether anything of a message changed after a revision."""
    session = reading.session
    return (
        session.messages.filter(revision__gt=since, placeholder=False).exists()
        or session.parts.filter(revision__gt=since).exists()
    )


def still_written(reading: Reading, since: int) -> bool:
    """Whether all that changed is text which its agent has not finished: more will follow at once."""
    fresh = list(reading.session.parts.filter(revision__gt=since)[:_FEW])
    return 0 < len(fresh) < _FEW and all(_is_open_text(part) for part in fresh)


def _is_open_text(part: Part) -> bool:
    time = obj(obj(part.data).get("time"))
    return part.kind in ("text", "reasoning") and bool(time) and "end" not in time


def fragments(reading: Reading, messages: list[Message], base: str) -> list[dict[str, str]] | None:
    """The messages, their lines of the outline, and the files that their turns changed, by the id of the element that each is.

    ``order`` sorts like the session, for what is not on the page yet. Nothing where it is too much to send.
    """
    found = [
        {"kind": "message", "id": message.id, "order": message.order, "html": _message(message, base)}
        for message in transcript.shown(reading, messages, base)
    ]
    found += [
        {
            "kind": "prompt",
            "id": prompt.message_id,
            "order": prompt.order,
            "html": render_to_string("sessions_app/prompt.html", {"prompt": prompt, "base": base}),
        }
        for prompt in outline.prompts_among(reading, messages)
    ]
    prompts = [message.external_id for message in messages if message.role == "user"]
    files = reading.changes_of_turns(prompts) if prompts else {}
    for name in prompts:
        changed = files.get(name, []) if not reading.is_reverted(name) else []
        html = render_to_string("sessions_app/changed.html", {"changed": changed, "base": base})
        found.append({"kind": "changed", "id": name, "html": html.strip()})
    return found if sum(len(fragment["html"]) for fragment in found) <= _MOST_CHARACTERS else None


def header(reading: Reading) -> list[dict[str, str]]:
    """The parts of the page's header that change while an agent works."""
    context: dict[str, Any] = {"session": reading.session, "reading": reading}
    found = [
        {"id": "origin", "html": render_to_string("sessions_app/origin.html", context)},
        {"id": "changes-count", "html": render_to_string("sessions_app/changes_count.html", context)},
    ]
    # What the agent asks is for its owner alone. Its forms bear no token: the page's script puts that in.
    if not reading.masked and (at := state.of(reading.session)) is not None:
        html = render_to_string("sessions_app/agent/state.html", {**context, "state": at})
        found.append({"id": "agent-state", "html": html.strip()})
    return found


def _message(message: transcript.ShownMessage, base: str) -> str:
    steps = message.steps
    if steps is not None:
        return render_to_string("sessions_app/run.html", {"run": steps.runs[0], "base": base}).strip()
    return render_to_string("sessions_app/message.html", {"message": message, "base": base}).strip()


def rows_after(reading: Reading, cursor: Cursor) -> Iterator[tuple[Cursor, dict[str, Any]]]:
    """The changed messages and parts after a cursor as JSON, in frames, each with the cursor behind it.

    The last frame's cursor is the reading's revision. A frame that ends within a revision says where, as a revision
    may be of any size.
    """
    session = reading.session
    kinds = (session.messages.filter(placeholder=False), session.parts.all())
    while True:
        # Only where rows stand is looked up ahead; the rows themselves may be large.
        places: list[tuple[int, int, int]] = []
        for stage, some in enumerate(kinds):
            ahead = some.filter(cursor.after(stage), revision__lte=session.revision)
            found = ahead.order_by("revision", "pk").values_list("revision", "pk")[: _MOST_ROWS + 1]
            places += [(revision, stage, key) for revision, key in found]
        places.sort()
        if not places:
            return
        frame, taken = _frame(reading, places)
        if taken == len(places):
            yield Cursor(session.revision), frame
            return
        revision, stage, key = places[taken - 1]
        whole = places[taken][0] > revision
        cursor = Cursor(revision) if whole else Cursor(revision - 1, (stage, key))
        yield cursor, frame


def _frame(reading: Reading, places: list[tuple[int, int, int]]) -> tuple[dict[str, Any], int]:
    """As many of the rows at these places as fit into one frame, and how many those are."""
    frame: dict[str, Any] = {"messages": [], "parts": []}
    size = taken = 0
    while taken < min(len(places), _MOST_ROWS):
        some = places[taken : min(taken + _FEW, _MOST_ROWS)]
        rows = _rows(some)
        for revision, stage, key in some:
            taken += 1
            row = rows.get((stage, key))
            # A row that was written again meanwhile comes with its new revision.
            if row is not None and row.revision == revision:
                data = reading.part(row) if isinstance(row, Part) else reading.message(row)
                length = len(json_text.dumps(data))
                if length > _FRAME_CHARACTERS:
                    data, length = _named(row), 0
                frame["parts" if stage else "messages"].append(data)
                size += length
            if size > _FRAME_CHARACTERS:
                return frame, taken
    return frame, taken


def _rows(places: list[tuple[int, int, int]]) -> dict[tuple[int, int], Message | Part]:
    messages = Message.objects.in_bulk([key for _, stage, key in places if stage == 0])
    parts = Part.objects.select_related("message").in_bulk([key for _, stage, key in places if stage == 1])
    found: dict[tuple[int, int], Message | Part] = {(0, key): row for key, row in messages.items()}
    found.update({(1, key): row for key, row in parts.items()})
    return found


def _named(row: Message | Part) -> dict[str, Any]:
    """A row too large for an event: what it is, for the client to get it where messages are had."""
    if isinstance(row, Part):
        return {"id": row.external_id, "messageID": row.message.external_id, "type": row.kind, "large": True}
    return {"id": row.external_id, "role": row.role, "large": True}
