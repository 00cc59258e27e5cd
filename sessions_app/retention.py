"""Deleting what has come to its end."""

from datetime import timedelta

from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from sessions_app import acts
from sessions_app.models import Session

# How long a deleted session rests before it goes for good.
RESTS = timedelta(days=30)


def sweep() -> int:
    """Deletes for good what was deleted long enough ago, and anonymous sessions that nobody wrote to; returns how many."""
    now = timezone.now()
    abandoned = Q(owner=None, written_at__lt=now - timedelta(days=settings.GANDER.anonymous_days))
    rested = Q(deleted_at__lt=now - RESTS)
    count = 0
    for session in Session.objects.filter(abandoned | rested).only("pk").iterator():
        try:
            acts.delete_for_good(session)
            count += 1
        except Session.DoesNotExist:
            continue
    return count
