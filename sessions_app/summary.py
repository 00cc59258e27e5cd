"""Totals of what a list shows, and its activity by day."""

from dataclasses import dataclass
from datetime import date, timedelta

from django.db.models import Count, Sum
from django.db.models.functions import TruncDate
from django.utils import timezone

from sessions_app.models import NANO, SessionQuerySet

DAYS = 60
_HEIGHT = 32


@dataclass(frozen=True, slots=True)
class Bar:
    """One day of the chart, in its units."""

    day: date
    count: int
    x: int
    y: float
    height: float


@dataclass(frozen=True, slots=True)
class Summary:
    sessions: int
    tokens: int
    cost: float
    bars: list[Bar]
    last: date


def of(sessions: SessionQuerySet, until: date | None = None) -> Summary:
    """Counts over all sessions of the list, and as bars the last days up to now, or to the day that the list ends with."""
    totals = sessions.order_by().aggregate(
        sessions=Count("id"),
        given=Sum("tokens_input"),
        made=Sum("tokens_output"),
        thought=Sum("tokens_reasoning"),
        cost=Sum("cost_nano"),
    )
    today = timezone.now().date()
    last = min(until or today, today)
    first = last - timedelta(days=DAYS - 1)
    by_day = dict(
        sessions.order_by()
        .filter(updated_at__date__gte=first, updated_at__date__lte=last)
        .annotate(day=TruncDate("updated_at"))
        .values("day")
        .annotate(count=Count("id"))
        .values_list("day", "count")
    )
    most = max(by_day.values(), default=0) or 1
    bars = []
    for index in range(DAYS):
        day = first + timedelta(days=index)
        count = by_day.get(day, 0)
        height = max(count / most * _HEIGHT, 2.0) if count else 0.5
        bars.append(Bar(day, count, index * 5, _HEIGHT - height, height))
    return Summary(
        sessions=totals["sessions"],
        tokens=(totals["given"] or 0) + (totals["made"] or 0) + (totals["thought"] or 0),
        cost=(totals["cost"] or 0) / NANO,
        bars=bars,
        last=last,
    )
