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
    rows = with_parts(reading)
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
    """The window in which a message stands, a little of what came before it included; the first where it is unknown.

    The id may be a part's, too.
    """
    target = _target(reading, external_id) if is_storable(external_id) else None
    if target is None:
        return before_or_after(reading, size=size)
    rows = with_parts(reading)
    lead = list(earlier(rows, target)[: size // 5 + 1])
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


def _target(reading: Reading, external_id: str) -> Message | None:
    rows = reading.messages()
    return (
        rows.filter(external_id=external_id).first()
        or rows.filter(pk__in=reading.session.parts.filter(external_id=external_id).values("message")).first()
    )


def later(rows: QuerySet[Message], cursor: str) -> QuerySet[Message]:
    """The messages after a cursor.

    Raises:
        BadCursor: the cursor is none of ours.
    """
    return _later(rows, *_read(cursor))


def earlier(rows: QuerySet[Message], message: Message) -> QuerySet[Message]:
    """The messages before one, the nearest first."""
    return _earlier(rows, message.created_at, message.external_id).order_by("-created_at", "-external_id")


def last(reading: Reading) -> Message | None:
    """The session's last message."""
    return reading.messages().order_by("-created_at", "-external_id").first()


def with_parts(reading: Reading) -> QuerySet[Message]:
    """The messages in order, with their parts at hand."""
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
    return (
        base64.urlsafe_b64encode(f"{_microseconds(message.created_at)}:{message.external_id}".encode())
        .decode()
        .rstrip("=")
    )


def order_of(message: Message) -> str:
    """A text that sorts as the messages do, in a browser too."""
    return f"{_microseconds(message.created_at):017}:{message.external_id}"


def _microseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _read(cursor: str) -> tuple[datetime, str]:
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
        at, colon, external_id = raw.partition(":")
        if not colon or not is_storable(external_id):
            raise ValueError
        return _EPOCH + timedelta(microseconds=int(at)), external_id
    except (ValueError, OverflowError):
        raise BadCursor("This cursor is not one that a page gave out. Start again without it.") from None
