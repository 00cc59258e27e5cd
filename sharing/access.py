"""The visitors' door: who may read a session through its link, and how much of it."""

from datetime import timedelta

from django.conf import settings
from django.utils import timezone

from sessions_app.models import Session
from sessions_app.reading import Reading
from sharing.masking import mask


class _Member:
    """Somebody of whom it was asked elsewhere that they are signed in."""

    is_authenticated = True


MEMBER = _Member()


def open(token: str, viewer: object) -> Reading | None:
    """What the viewer may read under this link: the session, masked; nothing where they may not.

    Nothing is also the answer for unknown links, closed ones, and those that the installation's policy keeps shut, so
    that nobody learns which it is. The owner comes through here too and sees what a reader sees.
    """
    session = Session.objects.filter(share_id=token, shared=True, deleted_at=None).first()
    if session is None or not _policy_allows(viewer) or expired(session):
        return None
    return Reading(session, mask, masked=True)


def _policy_allows(viewer: object) -> bool:
    match settings.GANDER.sharing:
        case "anyone":
            return True
        case "team":
            return bool(getattr(viewer, "is_authenticated", False))
        case _:
            return False


def expired(session: Session) -> bool:
    """Whether an anonymous share has come to its end, swept away already or not."""
    lifetime = timedelta(days=settings.GANDER.anonymous_days)
    return session.owner_id is None and session.written_at + lifetime < timezone.now()
