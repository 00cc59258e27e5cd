"""What an owner does to a session as a whole: rename, archive, share, delete."""

from django.db import transaction
from django.utils import timezone

from sessions_app import hints
from sessions_app.changes import text
from sessions_app.models import TITLE_LENGTH, Session
from sessions_app.text import line


def update(
    session: Session, *, title: str | None = None, shared: bool | None = None, archived: bool | None = None
) -> Session:
    """Changes what is given and leaves the rest; returns the session as it is then.

    Raises:
        Session.DoesNotExist: the session was deleted meanwhile.
    """
    with transaction.atomic():
        session = Session.objects.select_for_update().get(pk=session.pk)
        if title is not None:
            own = line(title, TITLE_LENGTH)
            # An empty title gives the name back to the source.
            session.title = own or line(text(session.info or {}, "title"), TITLE_LENGTH)
            session.title_is_own = bool(own)
        if shared is not None:
            session.shared = shared
        if archived is not None:
            session.archived_at = (session.archived_at or timezone.now()) if archived else None
        session.revision += 1
        session.save(update_fields=["title", "title_is_own", "shared", "archived_at", "revision"])
        transaction.on_commit(lambda: hints.announce(hints.UPDATED, session))
    return session


def delete(session: Session) -> None:
    """Lays the session to rest: its link is dead at once, and it goes for good after 30 days."""
    with transaction.atomic():
        session = Session.objects.select_for_update().get(pk=session.pk)
        session.deleted_at = session.deleted_at or timezone.now()
        session.revision += 1
        session.save(update_fields=["deleted_at", "revision"])
        transaction.on_commit(lambda: hints.announce(hints.DELETED, session))


def restore(session: Session) -> Session:
    """Takes a deleted session back, its link as it was."""
    with transaction.atomic():
        session = Session.objects.select_for_update().get(pk=session.pk)
        session.deleted_at = None
        session.revision += 1
        session.save(update_fields=["deleted_at", "revision"])
        transaction.on_commit(lambda: hints.announce(hints.CREATED, session))
    return session


def delete_for_good(session: Session) -> None:
    """Deletes the session with all that it holds. Nothing brings it back."""
    with transaction.atomic():
        session = Session.objects.select_for_update().get(pk=session.pk)
        announced = Session(pk=session.pk, owner_id=session.owner_id, revision=session.revision + 1)
        session.delete()
        transaction.on_commit(lambda: hints.announce(hints.DELETED, announced))
