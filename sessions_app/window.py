"""A long session is read through a window: some messages, and cursors to what stands before and after."""

import base64
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db.models import Prefetch, Q, QuerySet

from sessions_app.listing import BadCursor
from sessions_app.models import Message, Part
from sessions_app.reading import Reading
from sessions_app.text import is_storable

SIZE = 50
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Page:
    """Consecutive messages with their parts; each cursor is ``None`` where there is nothing more that way."""

    messages: list[Message]
    before: str | None
    after: str | None


def before_or_after(reading: Reading, *, before: str = "", after: str = "", size: int = SIZE) -> Page:
    """The messages right before one cursor or right after the other; without one, the first.

    Raises:
        BadCursor: the cursor is none of ours.
    """
    rows = _with_parts(reading)
    if before:
        found = list(_earlier(rows, *_read(before)).order_by("-created_at", "-external_id")[: size + 1])
        more = len(found) > size
        messages = found[:size][::-1]
        return Page(
            messages, cursor_of(messages[0]) if more else None, cursor_of(messages[-1]) if messages else None
        )
    if after:
        rows = later(rows, after)
    found = list(rows[: size + 1])
    messages = found[:size]
    return Page(
        messages,
        cursor_of(messages[0]) if after and messages else None,
        cursor_of(messages[-1]) if len(found) > size else None,
    )


def around(reading: Reading, external_id: str, size: int = SIZE) -> Page:
    """The window in which a message stands, a little of what came before it included; the first where it is unknown."""
    target = reading.messages().filter(external_id=external_id).first() if is_storable(external_id) else None
    if target is None:
        return before_or_after(reading, size=size)
    rows = _with_parts(reading)
    lead = list(
        _earlier(rows, target.created_at, target.external_id).order_by("-created_at", "-external_id")[
            : size // 5 + 1
        ]
    )
    more_before = len(lead) > size // 5
    lead = lead[: size // 5][::-1]
    rest = list(_later(rows, target.created_at, target.external_id, inclusive=True)[: size - len(lead) + 1])
    more_after = len(rest) > size - len(lead)
    messages = lead + rest[: size - len(lead)]
    return Page(
        messages,
        cursor_of(messages[0]) if more_before else None,
        cursor_of(messages[-1]) if more_after else None,
    )


def later(rows: QuerySet[Message], cursor: str) -> QuerySet[Message]:
    """The messages after a cursor.

    Raises:
        BadCursor: the cursor is none of ours.
    """
    return _later(rows, *_read(cursor))


def _with_parts(reading: Reading) -> QuerySet[Message]:
    return reading.messages().prefetch_related(Prefetch("parts", Part.objects.order_by("external_id")))


def _earlier(rows: QuerySet[Message], created_at: datetime, external_id: str) -> QuerySet[Message]:
    # The first condition follows from the second, but it is the one that an index answers.
    return rows.filter(
        Q(created_at__lt=created_at) | Q(external_id__lt=external_id), created_at__lte=created_at
    )


def _later(
    rows: QuerySet[Message], created_at: datetime, external_id: str, *, inclusive: bool = False
) -> QuerySet[Message]:
    same = Q(external_id__gte=external_id) if inclusive else Q(external_id__gt=external_id)
    return rows.filter(Q(created_at__gt=created_at) | same, created_at__gte=created_at)


def cursor_of(message: Message) -> str:
    """The cursor that stands at a message."""
    microseconds = (message.created_at - _EPOCH) // timedelta(microseconds=1)
    return base64.urlsafe_b64encode(f"{microseconds}:{message.external_id}".encode()).decode().rstrip("=")


def _read(cursor: str) -> tuple[datetime, str]:
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
        microseconds, colon, external_id = raw.partition(":")
        if not colon or not is_storable(external_id):
            raise ValueError
        return _EPOCH + timedelta(microseconds=int(microseconds)), external_id
    except (ValueError, OverflowError):
        raise BadCursor("This cursor is not one that a page gave out. Start again without it.") from None
