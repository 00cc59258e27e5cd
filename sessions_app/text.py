"""Text of any origin, made fit for a database column."""

import re
from typing import Any

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


def storable_throughout(value: Any) -> Any:
    """The JSON value with every text in it made storable; a page's encoding refuses what a column's does."""
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, dict):
        return {storable(key): storable_throughout(child) for key, child in value.items()}
    if isinstance(value, list):
        return [storable_throughout(child) for child in value]
    return value
