"""Changes: what a source says of a session, checked and in one form.

The objects are opencode's v2 schema (``Session``, ``Message``, ``Part``, ``SnapshotFileDiff``, ``Model``).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypedDict

from sessions_app import json_text
from sessions_app.diffs import count
from sessions_app.models import ID_LENGTH, NANO
from sessions_app.text import is_storable

# The kinds of part in opencode's v2 schema.
PART_KINDS = frozenset(
    [
        "text",
        "reasoning",
        "file",
        "tool",
        "step-start",
        "step-finish",
        "snapshot",
        "patch",
        "agent",
        "subtask",
        "retry",
        "compaction",
    ]
)
MOST_TOKENS = 10**11
# Dollars, and sums over millions of messages stay within a column.
MOST_COST = 1000


class Malformed(ValueError):
    """A change that cannot be understood; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class SessionChange:
    """The session itself: title, directory, times …"""

    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class MessageChange:
    external_id: str
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class PartChange:
    message_id: str
    external_id: str
    kind: str
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class DiffsChange:
    """The diffs of the whole session; replaces those before."""

    data: list[Any]


@dataclass(frozen=True, slots=True)
class ItemChange:
    """Anything else: a model, or a kind that we do not know."""

    kind: str
    external_id: str
    data: Any


Change = SessionChange | MessageChange | PartChange | DiffsChange | ItemChange


def from_item(item: object) -> Iterator[Change]:
    """The changes in one of opencode's sync items, ``{"type": …, "data": …}``.

    Raises:
        Malformed: says what is wrong with the item.
    """
    if not isinstance(item, dict):
        raise Malformed("an item must be an object with type and data")
    kind, data = item.get("type"), item.get("data")
    if not isinstance(kind, str) or not kind or len(kind) > 100 or not is_storable(kind):
        raise Malformed("type must be a text of 1 to 100 characters")
    if "data" not in item:
        raise Malformed("data is missing")
    if json_text.too_deep(data):
        raise Malformed(f"data is nested more than {json_text.MAX_DEPTH} levels deep")
    match kind:
        case "session":
            yield SessionChange(_object(data))
        case "message":
            yield message(_object(data))
        case "part":
            yield part(_object(data))
        case "session_diff":
            if not isinstance(data, list):
                raise Malformed("data must be a list of file diffs")
            yield DiffsChange(data)
        case "model":
            yield from _models(data)
        case _:
            own_id = data.get("id") if isinstance(data, dict) else None
            yield ItemChange(kind, str(own_id) if _is_id(own_id) else "", data)


def message(data: dict[str, Any]) -> MessageChange:
    """A message, whose ``id`` is its own.

    Raises:
        Malformed: it has no usable id.
    """
    return MessageChange(_id(data, "id"), data)


def part(data: dict[str, Any]) -> PartChange:
    """A part, which names its message by ``messageID``.

    Raises:
        Malformed: an id or the type is missing.
    """
    kind = data.get("type")
    if not isinstance(kind, str) or not kind or not is_storable(kind):
        raise Malformed("data.type must be a text")
    return PartChange(_id(data, "messageID"), _id(data, "id"), kind[:50], data)


def _models(data: object) -> list[ItemChange]:
    if not isinstance(data, list):
        raise Malformed("data must be a list of models")
    models = []
    for model in data:
        provider = model.get("providerID", "") if isinstance(model, dict) else None
        if not isinstance(provider, str) or len(provider) > ID_LENGTH or not is_storable(provider):
            raise Malformed("every model must be an object with id and providerID")
        models.append(ItemChange("model", f"{provider}/{_id(model, 'id')}", model))
    return models


def _object(data: object) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise Malformed("data must be an object")
    return data


def _is_id(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= ID_LENGTH and is_storable(value)


def _id(data: dict[str, Any], key: str) -> str:
    value = data.get(key)
    if not _is_id(value):
        raise Malformed(f"data.{key} must be a text of 1 to {ID_LENGTH} characters")
    return str(value)


class Usage(TypedDict):
    """Tokens by kind and the cost in billionths of a dollar; the keys are columns of ``Totals``."""

    tokens_input: int
    tokens_output: int
    tokens_reasoning: int
    tokens_cache_read: int
    tokens_cache_write: int
    cost_nano: int


def usage(data: dict[str, Any]) -> Usage:
    """What a message says it used; what is no count is taken as none."""
    tokens = data.get("tokens")
    tokens = tokens if isinstance(tokens, dict) else {}
    cache = tokens.get("cache")
    cache = cache if isinstance(cache, dict) else {}
    cost = data.get("cost")
    if isinstance(cost, bool) or not isinstance(cost, (int, float)) or not 0 <= cost <= MOST_COST:
        cost = 0
    return Usage(
        tokens_input=count(tokens.get("input"), MOST_TOKENS),
        tokens_output=count(tokens.get("output"), MOST_TOKENS),
        tokens_reasoning=count(tokens.get("reasoning"), MOST_TOKENS),
        tokens_cache_read=count(cache.get("read"), MOST_TOKENS),
        tokens_cache_write=count(cache.get("write"), MOST_TOKENS),
        cost_nano=round(cost * NANO),
    )


def moment(data: dict[str, Any], key: str) -> datetime | None:
    """A time of opencode's ``time`` object (milliseconds since 1970), where it is a possible one."""
    times = data.get("time")
    value = times.get(key) if isinstance(times, dict) else None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 4_102_444_800_000:
        return None
    return datetime.fromtimestamp(value / 1000, UTC)


def text(data: dict[str, Any], key: str) -> str:
    """A text of the object, or an empty one."""
    value = data.get(key)
    return value if isinstance(value, str) else ""
