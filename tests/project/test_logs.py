"""No secret of an address stands in a log."""

import io
import logging

import pytest

from project.logs import SecretFilter


@pytest.mark.parametrize(
    "path",
    [
        "/k/k7-0123456789abcdef/api/share",
        "/setup/886deeff0c851f65",
        "/invitation/abcdefghijk",
        "/share/9fK2abcdefgh",
        "/api/share/9fK2abcdefgh/sync",
    ],
)
def test_secrets_in_addresses_are_cut(path: str) -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.addFilter(SecretFilter())
    logger = logging.Logger("test")
    logger.addHandler(handler)
    logger.error("Internal Server Error: %s", path)
    try:
        raise ValueError(f"at {path}")
    except ValueError:
        logger.exception("failed")
    secret = max(path.split("/"), key=len)
    assert secret not in stream.getvalue() and "Internal Server Error" in stream.getvalue()
