"""A window of a session as its page shows it, the same for owner and readers."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.http import Http404, HttpRequest
from django.utils.safestring import SafeString

from sessions_app import window
from sessions_app.changes import text
from sessions_app.listing import BadCursor
from sessions_app.models import Message, Part
from sessions_app.reading import Reading
from sessions_app.render.part import error_of, part_html
from sessions_app.render.tool import obj, txt
from sessions_app.text import storable_throughout


@dataclass(frozen=True, slots=True)
class ShownMessage:
    """A message with everything its template says."""

    row: Message
    data: dict[str, Any]
    parts: list[SafeString]
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
    def compaction(self) -> bool:
        return self.data.get("summary") is True


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
        "shown_messages": shown(reading, page.messages, base),
        "previous": page.before,
        "next": page.after,
        "changes": reading.diffs(),
        "base": base,
    }


def shown(reading: Reading, messages: list[Message], base: str) -> list[ShownMessage]:
    """The messages with their parts rendered."""
    reverted_from = txt(obj(obj(reading.info()).get("revert")).get("messageID"))
    return [
        ShownMessage(
            row=row,
            data=obj(storable_throughout(reading.message(row))),
            parts=[part_html(reading, part, role=row.role, base=base) for part in row.parts.all()],
            source=reading.session.get_source_display(),
            reverted=bool(reverted_from) and row.external_id >= reverted_from,
        )
        for row in messages
    ]


def whole_part(reading: Reading, pk: int, base: str) -> SafeString:
    """One part with its output complete.

    Raises:
        Http404: the session has no such part.
    """
    part = Part.objects.filter(session=reading.session, pk=pk).select_related("message").first()
    if part is None:
        raise Http404
    return part_html(reading, part, role=part.message.role, whole=True, base=base)
