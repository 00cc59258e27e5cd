"""The list of one's sessions: filters and paging by cursor, the same for page and API."""

import base64
import binascii
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db.models import Q

from sessions_app.models import Session, SessionQuerySet

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class BadCursor(ValueError):
    """A cursor that no page of ours gave out."""


@dataclass(frozen=True, slots=True)
class Filters:
    """What a list shows. Nothing set shows everything that is not archived."""

    q: str = ""
    source: str = ""
    shared: bool | None = None
    archived: bool = False

    def of(self, sessions: SessionQuerySet) -> SessionQuerySet:
        """The sessions that fit, newest first."""
        sessions = sessions.filter(archived_at__isnull=not self.archived)
        for word in self.q.split()[:10]:
            sessions = sessions.filter(Q(title__icontains=word) | Q(directory__icontains=word))
        if self.source:
            sessions = sessions.filter(source=self.source)
        if self.shared is not None:
            sessions = sessions.filter(shared=self.shared)
        return sessions.order_by("-updated_at", "-id")

    @property
    def any(self) -> bool:
        return self != Filters()


def page(sessions: SessionQuerySet, cursor: str, size: int) -> tuple[list[Session], str | None]:
    """At most ``size`` sessions after the cursor, and the cursor of the page after, if there is one.

    Raises:
        BadCursor: the cursor is none of ours.
    """
    if cursor:
        updated_at, pk = _read(cursor)
        sessions = sessions.filter(Q(updated_at__lt=updated_at) | Q(id__lt=pk), updated_at__lte=updated_at)
    rows = list(sessions.defer("info")[: size + 1])
    return rows[:size], _write(rows[size - 1]) if len(rows) > size else None


def _write(session: Session) -> str:
    microseconds = (session.updated_at - _EPOCH) // timedelta(microseconds=1)
    return base64.urlsafe_b64encode(microseconds.to_bytes(8) + session.pk.bytes).decode()


def _read(cursor: str) -> tuple[datetime, uuid.UUID]:
    try:
        raw = base64.b64decode(cursor.encode("ascii"), altchars=b"-_", validate=True)
        if len(raw) != 24:
            raise ValueError
        return _EPOCH + timedelta(microseconds=int.from_bytes(raw[:8])), uuid.UUID(bytes=raw[8:])
    except (ValueError, binascii.Error, OverflowError):
        raise BadCursor("This cursor is not one that a page gave out. Start again without it.") from None
