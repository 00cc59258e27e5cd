"""Other people's JSON, kept as text: what comes out is what went in.

A ``jsonb`` column would refuse NUL characters and lone surrogates, which transcripts of terminals do hold.
"""

import json
import math
from typing import Any, NoReturn

import orjson
from django.db import models

# No real transcript is nested deeper; what is could not be walked without care for the stack everywhere.
MAX_DEPTH = 200


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def loads(text: bytes | str) -> Any:
    """Parses JSON.

    Raises:
        ValueError: it is none, or is nested too deeply to be parsed.
    """
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        # orjson refuses lone surrogates, which JavaScript clients do send.
        if isinstance(text, bytes):
            text = text.decode("utf-8", "replace")
        try:
            return json.loads(text, parse_constant=_refuse)
        except RecursionError:
            raise ValueError("nested too deeply") from None


def dumps(value: Any) -> str:
    """Writes JSON as compactly as it goes; ASCII alone where there are lone surrogates.

    Raises:
        ValueError: it is nested too deeply to be written.
    """
    try:
        return orjson.dumps(value).decode()
    except TypeError:
        try:
            return json.dumps(_finite(value), separators=(",", ":"), allow_nan=False)
        except RecursionError:
            raise ValueError("nested too deeply") from None


def _finite(value: Any) -> Any:
    """The value with null in place of what JSON has no number for, as orjson writes it."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(child) for key, child in value.items()}
    if isinstance(value, list):
        return [_finite(child) for child in value]
    return value


def too_deep(value: Any, limit: int = MAX_DEPTH) -> bool:
    """Whether lists and objects nest deeper than the limit."""
    level = [value]
    for _ in range(limit):
        level = [
            child
            for parent in level
            if isinstance(parent, (dict, list))
            for child in (parent.values() if isinstance(parent, dict) else parent)
            if isinstance(child, (dict, list))
        ]
        if not level:
            return False
    return True


class JsonTextField(models.TextField):  # type: ignore[type-arg]
    """A text column that reads and writes JSON values."""

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> Any:
        return None if value is None else loads(value)

    def to_python(self, value: Any) -> Any:
        return value

    def get_prep_value(self, value: Any) -> Any:
        return None if value is None and self.null else dumps(value)

    def value_to_string(self, obj: models.Model) -> str:
        return dumps(self.value_from_object(obj))
