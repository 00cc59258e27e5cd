"""Texts that grow while agents write them, of many sessions at once and at the cost of a few statements.

For each session it comes to the same as an ``ingest.apply`` of that one part; only texts that stand already can be
written so, in answers of an assistant, as they change neither totals nor status nor what a list shows of a session.
"""

from collections.abc import Sequence

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from sessions_app import hints, upsert
from sessions_app.changes import PartChange
from sessions_app.models import Message, Part, Session


class NotThere(Exception):
    """A text does not stand yet, or no longer: an ``apply`` has to tell."""


def grow(texts: Sequence[tuple[Session, PartChange]]) -> list[Session]:
    """Writes each session's text, as a new revision of it; returns the sessions as they are then, in the same order.

    Raises:
        NotThere: nothing was written.
    """
    with transaction.atomic():
        keys = [session.pk for session, _ in texts]
        now = timezone.now()
        rows = Session.objects.filter(pk__in=keys)
        rows.update(revision=F("revision") + 1, syncs=F("syncs") + 1, written_at=now, updated_at=now)
        sessions = rows.defer("info").in_bulk()
        places = Message.objects.filter(
            session__in=keys, external_id__in=[text.message_id for _, text in texts]
        ).values_list("session_id", "external_id", "pk")
        messages = {(session, external_id): pk for session, external_id, pk in places}
        try:
            parts = [
                {
                    "message_id": messages[session.pk, text.message_id],
                    "external_id": text.external_id,
                    "data": text.data,
                    "revision": sessions[session.pk].revision,
                }
                for session, text in texts
            ]
        except KeyError:
            raise NotThere from None
        if upsert.update(Part, ("message_id", "external_id"), parts) != len(parts):
            raise NotThere
        found = [sessions[key] for key in keys]
        transaction.on_commit(lambda: _announce(found))
    return found


def _announce(sessions: list[Session]) -> None:
    for session in sessions:
        hints.announce(hints.UPDATED, session)
