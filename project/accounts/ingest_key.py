"""Each member's own ingest key: the path by which an opencode without sign-in shares in their name.

The key is derived, not stored, so that the pages which explain the set-up can show it at any time. A new epoch makes a
new key and ends the old one.
"""

from django.db.models import F
from django.utils.crypto import constant_time_compare, salted_hmac

from project.accounts.models import User

_SALT = "gander.ingest-key"


def _proof(user: User) -> str:
    return salted_hmac(_SALT, f"{user.pk}:{user.ingest_epoch}", algorithm="sha256").hexdigest()[:40]


def of(user: User) -> str:
    """The user's present key, such as ``k7-93fc…``."""
    return f"k{user.pk}-{_proof(user)}"


def owner(key: str) -> User | None:
    """The active user whose present key this is."""
    number, dash, _ = key.removeprefix("k").partition("-")
    if (
        not key.startswith("k")
        or not dash
        or not number.isascii()
        or not number.isdigit()
        or len(number) > 18
    ):
        return None
    user = User.objects.filter(pk=int(number), is_active=True).first()
    return user if user and constant_time_compare(of(user), key) else None


def renew(user: User) -> None:
    """Ends the user's present key; the next one is of a new epoch."""
    User.objects.filter(pk=user.pk).update(ingest_epoch=F("ingest_epoch") + 1)
    user.refresh_from_db(fields=["ingest_epoch"])
