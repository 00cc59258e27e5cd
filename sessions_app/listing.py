"""The list of one's sessions: filters, order and paging by cursor, the same for page and API."""

import base64
import binascii
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Any
from urllib.parse import urlencode

from django.db import connection
from django.db.models import Q
from django.utils import timezone

from sessions_app.models import Session, SessionQuerySet, Source
from sessions_app.text import storable

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class BadCursor(ValueError):
    """A cursor that no page of ours gave out."""


class Sort(StrEnum):
    """The list's orders; each is a column, the highest first."""

    NEWEST = "newest"
    CREATED = "created"
    COST = "cost"
    TOKENS = "tokens"
    MESSAGES = "messages"

    @property
    def label(self) -> str:
        return {
            "newest": "Newest first",
            "created": "Latest begun first",
            "cost": "Most expensive first",
            "tokens": "Most output first",
            "messages": "Longest first",
        }[self]

    @property
    def column(self) -> str:
        return {
            "newest": "updated_at",
            "created": "created_at",
            "cost": "cost_nano",
            "tokens": "tokens_output",
            "messages": "messages_count",
        }[self]


class Shelf(StrEnum):
    """Where sessions are looked for."""

    OPEN = ""
    ARCHIVED = "archived"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class Filters:
    """What a list shows. Nothing set shows everything that is neither archived nor deleted."""

    q: str = ""
    source: str = ""
    directory: str = ""
    model: str = ""
    shared: bool | None = None
    shelf: Shelf = Shelf.OPEN
    since: date | None = None
    until: date | None = None
    sort: Sort = Sort.NEWEST

    @classmethod
    def read(cls, asked: Mapping[str, Any]) -> "Filters":
        """The filters of a page's address; what makes no sense there is left out."""
        return cls(
            q=_text(asked, "q"),
            source=_text(asked, "source") if asked.get("source") in Source.values else "",
            directory=_text(asked, "directory"),
            model=_text(asked, "model"),
            shared={"1": True, "0": False}.get(str(asked.get("shared", ""))),
            shelf=Shelf(asked["shelf"]) if asked.get("shelf") in list(Shelf) else Shelf.OPEN,
            since=_date(asked, "since"),
            until=_date(asked, "until"),
            sort=Sort(asked["sort"]) if asked.get("sort") in list(Sort) else Sort.NEWEST,
        )

    def of(self, user: object) -> SessionQuerySet:
        """The user's sessions that fit, in their order."""
        sessions = Session.objects.owned_by(user, resting=self.shelf is Shelf.DELETED)
        if self.shelf is not Shelf.DELETED:
            sessions = sessions.filter(archived_at__isnull=self.shelf is not Shelf.ARCHIVED)
        for word in self.q.split()[:10]:
            sessions = _holding(sessions, word)
        if self.source:
            sessions = sessions.filter(source=self.source)
        if self.directory:
            sessions = sessions.filter(directory=self.directory)
        if self.model:
            sessions = _using(sessions, self.model)
        if self.shared is not None:
            sessions = sessions.filter(shared=self.shared)
        if self.since:
            sessions = sessions.filter(updated_at__gte=datetime.combine(self.since, time.min, UTC))
        if self.until:
            sessions = sessions.filter(
                updated_at__lt=datetime.combine(self.until, time.min, UTC) + timedelta(days=1)
            )
        return sessions.order_by(f"-{self.sort.column}", "-id")

    @property
    def any(self) -> bool:
        """Whether anything is left out."""
        return replace(self, sort=Sort.NEWEST) != Filters()

    @property
    def query(self) -> str:
        """The address's query that reads back as these filters."""
        return urlencode(self._parameters())

    @property
    def chips(self) -> list[tuple[str, str]]:
        """What is set, in words, each with the query that takes it away."""
        words = {
            "q": f"“{self.q}”",
            "source": self.source,
            "directory": self.directory,
            "model": self.model,
            "shared": "shared" if self.shared else "not shared",
            "shelf": str(self.shelf),
            "since": f"since {self.since}",
            "until": f"until {self.until}",
        }
        empty = Filters()
        return [
            (word, replace(self, **{name: getattr(empty, name)}).query)
            for name, word in words.items()
            if getattr(self, name) != getattr(empty, name)
        ]

    def _parameters(self) -> dict[str, str]:
        empty = Filters()
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {
            name: ("1" if value else "0") if isinstance(value, bool) else str(value)
            for name, value in values.items()
            if value != getattr(empty, name)
        }


def _text(asked: Mapping[str, Any], name: str) -> str:
    return storable(str(asked.get(name, "")))[:300].strip()


# Days that a list may be asked for: with room for reckoning, where the calendar itself has an end.
FIRST_DAY, LAST_DAY = date(1970, 1, 1), date(2200, 1, 1)


def _date(asked: Mapping[str, Any], name: str) -> date | None:
    try:
        day = date.fromisoformat(str(asked.get(name, "")))
    except ValueError:
        return None
    return day if FIRST_DAY <= day <= LAST_DAY else None


def _holding(sessions: SessionQuerySet, word: str) -> SessionQuerySet:
    """Those with a word in their title or directory, in whatever case."""
    if word.isascii() or connection.vendor != "sqlite":
        return sessions.filter(Q(title__icontains=word) | Q(directory__icontains=word))
    # SQLite knows upper and lower case of ASCII alone.
    folded = word.casefold()
    rows = sessions.order_by().values_list("pk", "title", "directory")
    found = [pk for pk, *texts in rows if any(folded in text.casefold() for text in texts)]
    return sessions.filter(pk__in=found)


def _using(sessions: SessionQuerySet, model: str) -> SessionQuerySet:
    """Those that used a model: the one of this name, and where there is none, those whose names hold it."""
    lines = Q(models_used=model) | Q(models_used__contains=f"\n{model}\n")
    lines |= Q(models_used__startswith=f"{model}\n") | Q(models_used__endswith=f"\n{model}")
    named = sessions.filter(lines)
    return named if named.exists() else sessions.filter(models_used__icontains=model)


def page(
    sessions: SessionQuerySet, cursor: str, size: int, sort: Sort = Sort.NEWEST
) -> tuple[list[Session], str | None]:
    """At most ``size`` sessions after the cursor, and the cursor of the page after, if there is one.

    Raises:
        BadCursor: the cursor is none of ours, or of another order.
    """
    if cursor:
        value, pk = _read(cursor, sort)
        # The second condition follows from the first, but it is the one that an index answers.
        sessions = sessions.filter(
            Q(**{f"{sort.column}__lt": value}) | Q(id__lt=pk), **{f"{sort.column}__lte": value}
        )
    rows = list(sessions.defer("info")[: size + 1])
    return rows[:size], _write(rows[size - 1], sort) if len(rows) > size else None


def order_of(session: Session, sort: Sort) -> int:
    """Where a session stands in a list: the higher, the further up."""
    value = getattr(session, sort.column)
    return (value - _EPOCH) // timedelta(microseconds=1) if isinstance(value, datetime) else int(value)


def group_of(session: Session, sort: Sort) -> str:
    """The heading it stands under: Today, Yesterday, earlier its month; none where the order is not of time."""
    if sort not in (Sort.NEWEST, Sort.CREATED):
        return ""
    day = getattr(session, sort.column).date()
    age = (timezone.now().date() - day).days
    return "Today" if age <= 0 else "Yesterday" if age == 1 else f"{day:%B %Y}"


def _write(session: Session, sort: Sort) -> str:
    key = json.dumps([sort, order_of(session, sort), session.pk.hex])
    return base64.urlsafe_b64encode(key.encode()).decode().rstrip("=")


def _read(cursor: str, sort: Sort) -> tuple[datetime | int, uuid.UUID]:
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        order, value, pk = json.loads(raw)
        if order != sort or not isinstance(value, int) or not 0 <= value < 2**62 or not isinstance(pk, str):
            raise ValueError
        if sort in (Sort.NEWEST, Sort.CREATED):
            return _EPOCH + timedelta(microseconds=value), uuid.UUID(hex=pk)
        return value, uuid.UUID(hex=pk)
    except (ValueError, TypeError, binascii.Error, OverflowError, RecursionError):
        raise BadCursor("This cursor is not one that a page gave out. Start again without it.") from None
