"""What may be done to a session's link beyond opening and closing it."""

from sessions_app.acts import changing
from sessions_app.models import Session, new_share_id


def reset(session: Session) -> Session:
    """Gives the session a new link and a new secret; the old ones end for good."""
    with changing(session, "share_id", "share_epoch") as locked:
        locked.share_id = new_share_id()
        locked.share_epoch += 1
    return locked
