"""Find in session: over everything of it, loaded into the page or not."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.db.models import TextField
from django.db.models.functions import Cast
from django.utils.html import conditional_escape, format_html, format_html_join
from django.utils.safestring import SafeString

from sessions_app.models import Part
from sessions_app.reading import Reading
from sessions_app.render.ansi import stripped
from sessions_app.render.tool import Tool, obj, pretty, txt
from sessions_app.text import storable_throughout

MOST_HITS = 200
_AROUND = 60
# What JSON writes as itself: only of such a word does the stored text tell whether it occurs.
_PLAIN = re.compile(r"^[\x20-\x21\x23-\x5b\x5d-\x7e]+$")


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


def find(reading: Reading, words: str) -> Found:
    """Where the words stand in the session, in its order; what a reader does not see is not searched."""
    words = words.strip()
    if not words:
        return Found([], 0, more=False)
    pattern = re.compile(re.escape(words), re.IGNORECASE)
    hits: list[Hit] = []
    count = 0
    rows = reading.session.parts.filter(message__placeholder=False).select_related("message")
    if _PLAIN.match(words):
        rows = rows.annotate(text=Cast("data", TextField())).filter(text__icontains=words)
    for part in rows.order_by("message__created_at", "message__external_id", "external_id").iterator():
        hit = _in_part(reading, part, pattern)
        if hit is None:
            continue
        if len(hits) == MOST_HITS:
            return Found(hits, count, more=True)
        hits.append(hit)
        count += hit.count
    return Found(hits, count, more=False)


def _in_part(reading: Reading, part: Part, pattern: re.Pattern[str]) -> Hit | None:
    data = obj(storable_throughout(reading.part(part)))
    text = "\n".join(_texts(data, reading.directory))
    first = pattern.search(text)
    if first is None:
        return None
    where = (
        Tool(data).verb
        if part.kind == "tool"
        else {"text": "", "reasoning": "Reasoning"}.get(part.kind, part.kind)
    )
    speaker = "You" if part.message.role == "user" else reading.session.get_source_display()
    return Hit(
        message_id=part.message.external_id,
        anchor=part.external_id if part.kind == "tool" else part.message.external_id,
        where=f"{speaker} · {where}" if where else speaker,
        snippet=_snippet(text, first, pattern),
        count=sum(1 for _ in pattern.finditer(text)),
    )


def _texts(data: dict[str, Any], directory: str) -> Iterator[str]:
    if data.get("type") == "tool":
        tool = Tool(data, directory)
        yield from (tool.name, tool.object, tool.pretty_input, stripped(tool.output), tool.error)
    elif data.get("type") in {"text", "reasoning"}:
        yield txt(data.get("text"))
    elif data.get("type") in {"file", "agent"}:
        yield txt(data.get("filename")) or txt(data.get("name"))
    elif data.get("type") not in {"step-start", "step-finish", "snapshot"}:
        yield pretty(data)


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
