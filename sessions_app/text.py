"""Text of any origin, made fit for a database column."""

import re

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def storable(text: str) -> str:
    """Without what PostgreSQL's text refuses (NUL, lone surrogates), each shown as U+FFFD."""
    return _UNSTORABLE.sub("\ufffd", text) if _UNSTORABLE.search(text) else text


def is_storable(text: str) -> bool:
    return not _UNSTORABLE.search(text)


def line(text: str, limit: int) -> str:
    """One line of at most ``limit`` characters."""
    text = " ".join(storable(text).split())
    return text if len(text) <= limit else text[: limit - 1] + "…"
