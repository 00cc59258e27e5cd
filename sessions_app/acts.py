"""What an owner does to a session as a whole: rename, archive, share, delete."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import transaction
from django.utils import timezone

from sessions_app import hints
from sessions_app.changes import text
from sessions_app.models import TITLE_LENGTH, Session
from sessions_app.text import line


@contextmanager
def changing(session: Session, *columns: str, hint: str = hints.UPDATED) -> Iterator[Session]:
    """Holds the session's row while some of its columns are set, as one new revision; announces it after the commit.

    Raises:
        Session.DoesNotExist: the session was deleted meanwhile.
    """
    with transaction.atomic():
        locked = Session.objects.select_for_update().get(pk=session.pk)
        yield locked
        locked.revision += 1
        locked.written_at = timezone.now()
        locked.save(update_fields=[*columns, "revision", "written_at"])
        transaction.on_commit(lambda: hints.announce(hint, locked))


def update(
    session: Session, *, title: str | None = None, shared: bool | None = None, archived: bool | None = None
) -> Session:
    """Changes what is given and leaves the rest; returns the session as it is then.

    Raises:
        Session.DoesNotExist: the session was deleted meanwhile.
    """
    with changing(session, "title", "title_is_own", "shared", "archived_at") as locked:
        if title is not None:
            own = line(title, TITLE_LENGTH)
            # An empty title gives the name back to the source.
            locked.title = own or line(text(locked.info or {}, "title"), TITLE_LENGTH)
            locked.title_is_own = bool(own)
        if shared is not None:
            locked.shared = shared
        if archived is not None:
            locked.archived_at = (locked.archived_at or timezone.now()) if archived else None
    return locked


def delete(session: Session) -> None:
    """Lays the session to rest: its link is dead at once, and it goes for good after 30 days."""
    with changing(session, "deleted_at", hint=hints.DELETED) as locked:
        locked.deleted_at = locked.deleted_at or timezone.now()


def restore(session: Session) -> Session:
    """Takes a deleted session back, its link as it was."""
    with changing(session, "deleted_at", hint=hints.CREATED) as locked:
        locked.deleted_at = None
    return locked


def delete_for_good(session: Session) -> None:
    """Deletes the session with all that it holds. Nothing brings it back."""
    with transaction.atomic():
        session = Session.objects.select_for_update().get(pk=session.pk)
        announced = Session(pk=session.pk, owner_id=session.owner_id, revision=session.revision + 1)
        session.delete()
        transaction.on_commit(lambda: hints.announce(hints.DELETED, announced))
