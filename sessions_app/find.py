"""Find in session: over everything of it, loaded into the page or not."""

import heapq
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter

from django.db.models import Q, TextField
from django.db.models.functions import Cast
from django.utils.html import conditional_escape, format_html, format_html_join
from django.utils.safestring import SafeString

from sessions_app.models import Message
from sessions_app.reading import Reading
from sessions_app.render import words
from sessions_app.render.steps import slot_of
from sessions_app.render.tool import obj
from sessions_app.text import storable_throughout

# Where a hit stands: its message, and whether under the message's parts.
Place = tuple[datetime, str, int]

MOST_HITS = 200
_AROUND = 60
# What stands in the stored text as in the shown one; between them there may be Markdown's marks and JSON's escapes. A
# mark within a word hides it, but for a terminal's, which often colours the very words that were looked for.
_PLAIN = re.compile(r"[A-Za-z0-9]+")
_LETTERS = re.compile(r"[^\W_]+")
_ESCAPE = "\\u001b"


@dataclass(frozen=True, slots=True)
class Hit:
    """A part in which the words stand."""

    message_id: str
    anchor: str
    where: str
    snippet: SafeString
    count: int


@dataclass(frozen=True, slots=True)
class Found:
    hits: list[Hit]
    count: int
    more: bool


def find(reading: Reading, wanted: str) -> Found:
    """Where the words stand in the session, in its order; what a reader does not see is not searched."""
    wanted = wanted.strip()
    if not wanted:
        return Found([], 0, more=False)
    # A line's end reads as a space.
    pattern = re.compile(r"\s+".join(map(re.escape, wanted.split())), re.IGNORECASE)
    hits: list[Hit] = []
    count = 0
    # A message's error stands under its parts.
    for _, hit in heapq.merge(
        _in_parts(reading, pattern, wanted), _in_errors(reading, pattern, wanted), key=itemgetter(0)
    ):
        if len(hits) == MOST_HITS:
            return Found(hits, count, more=True)
        hits.append(hit)
        count += hit.count
    return Found(hits, count, more=False)


def _in_parts(reading: Reading, pattern: re.Pattern[str], wanted: str) -> Iterator[tuple[Place, Hit]]:
    rows = reading.session.parts.filter(message__placeholder=False).select_related("message")
    rows = rows.annotate(text=Cast("data", TextField())).filter(*_contains(wanted))
    letters = [word.casefold() for word in _LETTERS.findall(wanted)]
    for part in rows.order_by("message__created_at", "message__external_id", "external_id").iterator():
        if not _may_contain(part.text, letters):
            continue
        data = obj(storable_throughout(reading.part(part)))
        anchor = part.external_id if part.kind == "tool" else slot_of(part.pk)
        text = "\n".join(words.texts(data, reading.directory, part.message.role))
        if hit := _hit(reading, part.message, anchor, words.place(data), text, pattern):
            yield (*_place(part.message), 0), hit


def _in_errors(reading: Reading, pattern: re.Pattern[str], wanted: str) -> Iterator[tuple[Place, Hit]]:
    rows = reading.messages().annotate(text=Cast("data", TextField()))
    rows = rows.filter(*_contains(wanted), text__contains='"error"')
    for message in rows.order_by("created_at", "external_id").iterator():
        error = obj(storable_throughout(reading.message(message))).get("error")
        text = "\n".join(words.error(error))
        if hit := _hit(reading, message, message.external_id, "Error", text, pattern):
            yield (*_place(message), 1), hit


def _contains(wanted: str) -> list[Q]:
    """What the database can tell: it knows upper and lower case of plain letters alone."""
    return [Q(text__icontains=word) | Q(text__contains=_ESCAPE) for word in _PLAIN.findall(wanted)]


def _may_contain(stored: str, letters: list[str]) -> bool:
    """The same of all letters, before the part is read and rendered; what is stored in escapes is not told by them."""
    if "\\u" in stored:
        return True
    folded = stored.casefold()
    return all(word in folded for word in letters)


def _place(message: Message) -> tuple[datetime, str]:
    return message.created_at, message.external_id


def _hit(
    reading: Reading, message: Message, anchor: str, where: str, text: str, pattern: re.Pattern[str]
) -> Hit | None:
    first = pattern.search(text)
    if first is None:
        return None
    speaker = "You" if message.role == "user" else reading.session.get_source_display()
    return Hit(
        message_id=message.external_id,
        anchor=anchor,
        where=f"{speaker} · {where}" if where else speaker,
        snippet=_snippet(text, first, pattern),
        count=sum(1 for _ in pattern.finditer(text)),
    )


def _snippet(text: str, first: re.Match[str], pattern: re.Pattern[str]) -> SafeString:
    start, end = max(first.start() - _AROUND, 0), first.end() + _AROUND
    shown = text[start:end]
    pieces: list[SafeString] = []
    position = 0
    for match in pattern.finditer(shown):
        pieces.append(format_html("{}<mark>{}</mark>", shown[position : match.start()], match[0]))
        position = match.end()
    pieces.append(conditional_escape(shown[position:]))
    return format_html(
        "{}{}{}",
        "…" if start else "",
        format_html_join("", "{}", ((piece,) for piece in pieces)),
        "…" if end < len(text) else "",
    )
