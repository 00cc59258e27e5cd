"""The first account: made through a link that only who starts the server sees."""

from django.conf import settings
from django.db import connection, transaction
from django.urls import reverse
from django.utils.crypto import constant_time_compare, salted_hmac

from project.accounts.models import User


def _token() -> str:
    # Of the installation's secret alone, so that every process and every restart names the same link.
    return salted_hmac(
        "gander.set-up", "first account", secret=settings.SECRET_KEY, algorithm="sha256"
    ).hexdigest()[:43]


def needed() -> bool:
    return not User.objects.exists()


def link(address: str) -> str | None:
    """The link, as long as there is no account."""
    return f"{address}{reverse('accounts:set-up', args=[_token()])}" if needed() else None


def make(user: User) -> bool:
    """Saves the first account; not, where another was made in the meantime."""
    with transaction.atomic():
        if connection.vendor == "postgresql":
            # SQLite's transactions write alone as it is.
            with connection.cursor() as cursor:
                cursor.execute(
                    f"LOCK TABLE {connection.ops.quote_name(User._meta.db_table)} IN EXCLUSIVE MODE"
                )
        if not needed():
            return False
        user.save()
        return True


def valid(token: str) -> bool:
    """Whether this is the link's token and there is no account yet."""
    return constant_time_compare(token, _token()) and needed()
