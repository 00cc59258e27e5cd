"""Deleting what has come to its end."""

from datetime import timedelta

from django.conf import settings
from django.utils import timezone

from sessions_app import acts
from sessions_app.models import Session


def sweep() -> int:
    """Deletes the sessions that nobody owns and nobody wrote to for the configured time; returns how many."""
    before = timezone.now() - timedelta(days=settings.GANDER.anonymous_days)
    expired = Session.objects.filter(owner=None, written_at__lt=before)
    count = 0
    for session in expired.only("pk", "owner_id", "revision").iterator():
        try:
            acts.delete(session)
            count += 1
        except Session.DoesNotExist:
            continue
    return count
