"""The outline: a session's prompts, a first line of each, page by page."""

from dataclasses import dataclass

from django.db.models import Count, OuterRef, Prefetch, QuerySet, Subquery
from django.db.models.functions import Coalesce

from sessions_app import window
from sessions_app.models import FileDiff, Message, Part
from sessions_app.reading import Reading
from sessions_app.render import words
from sessions_app.render.tool import obj, txt
from sessions_app.text import is_storable, line

SIZE = 100
_LEAD = 20


@dataclass(frozen=True, slots=True)
class Prompt:
    """One question asked of the agent."""

    number: int
    message_id: str
    order: str
    line: str
    files: int
    reverted: bool


@dataclass(frozen=True, slots=True)
class Outline:
    """Some prompts from a number on, and the numbers at which the pages before and after begin, where there are any."""

    prompts: list[Prompt]
    number: int
    before: int | None
    after: int | None


def page(reading: Reading, number: int = 1, at: str = "", until: int = 0) -> Outline:
    """At most ``SIZE`` prompts from this number on, or from a little before the prompt in whose turn a message stands.

    Prompts from the number ``until`` on are left out, where one is given.
    """
    if at:
        number = max(_number_at(reading, at) - _LEAD, 1)
    rows = _rows(reading.messages())
    size = min(SIZE, until - number) if until > number else SIZE
    found = list(rows[number - 1 : number + size])
    return Outline(
        [prompt(reading, row, place) for place, row in enumerate(found[:size], number)],
        number,
        max(number - SIZE, 1) if number > 1 else None,
        number + size if len(found) > size else None,
    )


def prompts_among(reading: Reading, messages: list[Message]) -> list[Prompt]:
    """The prompts among some messages, each with its number in the session."""
    asked = _rows(reading.messages().filter(pk__in=[row.pk for row in messages if row.role == "user"]))
    return [prompt(reading, row, _before(reading, row).count() + 1) for row in asked]


def _rows(messages: QuerySet[Message]) -> QuerySet[Message]:
    texts = Part.objects.filter(kind__in=("text", "compaction")).order_by("external_id")
    # Not by a join: grouped rows have no order of their own.
    diffs = FileDiff.objects.filter(message=OuterRef("pk")).order_by().values("message")
    changed = Coalesce(Subquery(diffs.annotate(count=Count("pk")).values("count")), 0)
    asked = messages.filter(role="user").annotate(changed=changed).defer("data")
    return asked.prefetch_related(Prefetch("parts", texts))


def _before(reading: Reading, message: Message) -> QuerySet[Message]:
    return window.earlier(reading.messages().filter(role="user"), message)


def _number_at(reading: Reading, external_id: str) -> int:
    """The number of the prompt that a message is or answers; the first where the message is unknown."""
    message = reading.messages().filter(external_id=external_id).first() if is_storable(external_id) else None
    if message is None:
        return 1
    return _before(reading, message).count() + (message.role == "user")


def prompt(reading: Reading, row: Message, number: int) -> Prompt:
    files: int = getattr(row, "changed", 0)
    return Prompt(
        number=number,
        message_id=row.external_id,
        order=window.order_of(row),
        line=_line(reading, row),
        files=files,
        reverted=reading.is_reverted(row.external_id),
    )


def _line(reading: Reading, row: Message) -> str:
    """The first line of what was asked, or what else it was that was sent."""
    parts = list(row.parts.all())
    for part in parts:
        data = obj(reading.part(part))
        text = txt(data.get("text")).strip()
        if data.get("type") == "text" and not data.get("synthetic") and text:
            return line(text.split("\n", 1)[0], 120)
    if any(part.kind == "compaction" for part in parts):
        return "Compacted"
    # Few prompts have no text: what they have is read only then, as files may be large. A command that a person ran
    # stands there as a text of the program's own.
    others = Part.objects.filter(message=row, kind__in=("file", "subtask", "agent")).order_by("external_id")
    for part in [*others, *parts]:
        for said in words.texts(obj(reading.part(part)), reading.directory, row.role):
            if said.strip():
                return line(said.strip().split("\n", 1)[0], 120)
    return "(no text)"
