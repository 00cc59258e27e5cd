"""A share's secret, with which opencode writes to it: derived, never stored."""

import hmac

from django.utils.crypto import salted_hmac

from sessions_app.models import Session

_SALT = "gander.share-secret"


def _secret(share_id: str, epoch: int) -> str:
    return salted_hmac(_SALT, f"{share_id}:{epoch}", algorithm="sha256").hexdigest()


def _same(ours: str, given: object) -> bool:
    # Clients send any text, lone surrogates included.
    return isinstance(given, str) and hmac.compare_digest(
        ours.encode(), given.encode("utf-8", "surrogatepass")
    )


def of(session: Session) -> str:
    """The secret of the session's share, from its link and epoch."""
    return _secret(session.share_id, session.share_epoch)


def fits(session: Session, secret: object) -> bool:
    """Whether this is the share's secret, in constant time."""
    return _same(of(session), secret)


def fitted(share_id: str, secret: object) -> bool:
    """Whether this was the secret of a share that is gone: only its holder is told that it existed."""
    return _same(_secret(share_id, 0), secret)
