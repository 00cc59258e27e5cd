"""The outline: a session's prompts, a first line of each, page by page."""

from dataclasses import dataclass

from django.db.models import Count, Prefetch

from sessions_app.models import Part
from sessions_app.reading import Reading
from sessions_app.render.tool import obj, txt
from sessions_app.text import line
from sessions_app.window import cursor_of, later

SIZE = 100


@dataclass(frozen=True, slots=True)
class Prompt:
    """One question asked of the agent."""

    number: int
    message_id: str
    line: str
    files: int


@dataclass(frozen=True, slots=True)
class Outline:
    prompts: list[Prompt]
    after: str | None
    following: int


def page(reading: Reading, after: str = "", before_it: int = 0) -> Outline:
    """At most ``SIZE`` prompts after the cursor, which ``before_it`` prompts precede.

    Raises:
        BadCursor: the cursor is none of ours.
    """
    asked = reading.messages().filter(role="user")
    if after:
        asked = later(asked, after)
    rows = asked.annotate(changed=Count("diffs")).defer("data")
    texts = Part.objects.filter(kind="text").order_by("external_id")
    found = list(rows.prefetch_related(Prefetch("parts", texts))[: SIZE + 1])
    prompts = [
        Prompt(before_it + number, row.external_id, prompt_line(reading, list(row.parts.all())), row.changed)
        for number, row in enumerate(found[:SIZE], 1)
    ]
    more = len(found) > SIZE
    return Outline(prompts, cursor_of(found[SIZE - 1]) if more else None, before_it + len(prompts))


def prompt_line(reading: Reading, parts: list[Part]) -> str:
    """The first line of what was asked."""
    for part in parts:
        data = obj(reading.part(part))
        text = txt(data.get("text")).strip()
        if data.get("type") == "text" and not data.get("synthetic") and text:
            return line(text.split("\n", 1)[0], 120)
    return "(no text)"
