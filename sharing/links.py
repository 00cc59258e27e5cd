"""What may be done to a session's link beyond opening and closing it."""

from django.db import transaction

from sessions_app import hints
from sessions_app.models import Session, new_share_id


def reset(session: Session) -> Session:
    """Gives the session a new link and a new secret; the old ones end for good."""
    with transaction.atomic():
        session = Session.objects.select_for_update().get(pk=session.pk)
        session.share_id = new_share_id()
        session.share_epoch += 1
        session.revision += 1
        session.save(update_fields=["share_id", "share_epoch", "revision"])
        transaction.on_commit(lambda: hints.announce(hints.UPDATED, session))
    return session
