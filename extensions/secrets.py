"""Secret values at rest: encrypted with a key derived from the installation's own secret."""

import base64
import hashlib
import hmac

from cryptography.fernet import Fernet, InvalidToken
from django.conf import settings


class Unreadable(Exception):
    """A value was encrypted with another secret key; it has to be entered again."""


def _cipher() -> Fernet:
    key = hmac.new(settings.SECRET_KEY.encode(), b"extensions.secrets", hashlib.sha256).digest()
    return Fernet(base64.urlsafe_b64encode(key))


def sealed(value: str) -> bytes:
    return _cipher().encrypt(value.encode())


def opened(value: bytes | memoryview) -> str:
    """The value in clear.

    Raises:
        Unreadable: the installation's secret key is another one than when it was sealed.
    """
    try:
        return _cipher().decrypt(bytes(value)).decode()
    except InvalidToken:
        raise Unreadable("its secret values were stored under another secret key; enter them again") from None
