"""goose's export: ``goose session import file.json`` takes it.

The format is goose 1.5x's ``Session`` with its ``conversation``, as ``goose session export --format json`` writes it.
"""

import re
from datetime import UTC, datetime
from typing import Any

from sessions_app import json_text
from sessions_app.models import Message, Totals
from sessions_app.reading import Reading
from sessions_app.render.tool import items, obj, txt
from sessions_app.text import storable_throughout

_IMAGE_URL = re.compile(r"data:(image/[\w.+-]+);base64,([A-Za-z0-9+/=]+)")
# goose's JSON parser stops at 128 levels, of which a call's arguments stand on the eighth.
_DEEPEST_ARGUMENTS = 110


def export(reading: Reading) -> dict[str, Any]:
    """The session as goose's export, masked as the reading is.

    A call's result follows as a message of role ``user``, as goose keeps it; a call without a result has none. Text that
    the agent's client added is for the agent alone, and what was taken back is kept from it. Step marks, snapshots,
    patches and kinds that goose does not know are left out, and so is a message in which nothing else stands.
    """
    session = reading.session
    parts: dict[int, list[dict[str, Any]]] = {}
    for row in session.parts.order_by("external_id").only("message_id", "external_id", "data").iterator():
        shown = obj(storable_throughout(reading.part(row)))
        parts.setdefault(row.message_id, []).append({**shown, "id": row.external_id})
    conversation: list[dict[str, Any]] = []
    called: set[str] = set()
    latest: Totals | None = None
    for message in reading.messages().iterator():
        data = obj(storable_throughout(reading.message(message)))
        metadata = {"userVisible": True, "agentVisible": not reading.is_reverted(message.external_id)}
        conversation += _messages(message, data, parts.get(message.pk, []), metadata, called)
        latest = message if message.tokens else latest
    return {
        "id": session.external_id,
        "working_dir": storable_throughout(reading.directory),
        "name": storable_throughout(reading.title),
        # goose gives a session without a name of its own a new one at its next prompt.
        "user_set_name": bool(session.title),
        "session_type": "user",
        "created_at": _rfc3339(session.created_at),
        "updated_at": _rfc3339(session.updated_at),
        "extension_data": {},
        # What the last answer used is how full the window is, by which goose decides to compact.
        "usage": _usage(latest or session),
        "accumulated_usage": _usage(session),
        "accumulated_cost": session.cost,
        "schedule_id": None,
        "recipe": None,
        "user_recipe_values": None,
        "conversation": conversation,
        "message_count": len(conversation),
    }


def _rfc3339(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _usage(totals: Totals) -> dict[str, int]:
    """goose counts what the cache served and took as input, and reasoning as output."""
    given = totals.tokens_input + totals.tokens_cache_read + totals.tokens_cache_write
    made = totals.tokens_output + totals.tokens_reasoning
    return {
        "input_tokens": given,
        "output_tokens": made,
        "total_tokens": given + made,
        "cache_read_input_tokens": totals.tokens_cache_read,
        "cache_write_input_tokens": totals.tokens_cache_write,
    }


def _messages(
    row: Message,
    data: dict[str, Any],
    parts: list[dict[str, Any]],
    metadata: dict[str, Any],
    called: set[str],
) -> list[dict[str, Any]]:
    """The message, and one with its tools' results where there are any.

    Args:
        metadata: who sees it.
        called: ids of calls so far; goose matches results by them over the whole session.
    """
    content: list[dict[str, Any]] = []
    results: list[dict[str, Any]] = []
    for part in parts:
        if part.get("type") != "tool":
            content += _content(part)
            continue
        call_id = txt(part.get("callID"))
        call_id = call_id if call_id and call_id not in called else part["id"]
        called.add(call_id)
        content.append(_request(call_id, part))
        results += _response(call_id, obj(part.get("state")))
    if not content:
        return []
    role = "user" if row.role == "user" else "assistant"
    about = {**metadata, **(_answered(row, data) if role == "assistant" else {})}
    if all("annotations" in entry for entry in content):
        about["userVisible"] = False
    found = [_message(row, row.external_id, role, content, about)]
    if results:
        found.append(_message(row, f"{row.external_id}_results", "user", results, metadata))
    return found


def _message(
    row: Message, id: str, role: str, content: list[dict[str, Any]], metadata: dict[str, Any]
) -> dict[str, Any]:
    # goose sorts by the second, then by the order in which they came.
    created = int(row.created_at.timestamp())
    return {"id": id, "role": role, "created": created, "content": content, "metadata": metadata}


def _answered(row: Message, data: dict[str, Any]) -> dict[str, Any]:
    """Which model answered, and what that took."""
    found: dict[str, Any] = {}
    if model := txt(data.get("modelID")):
        found["inference"] = {"provider": txt(data.get("providerID")), "requestedModel": model}
    if row.tokens or row.cost_nano:
        usage = _usage(row)
        found["usage"] = {
            "inputTokens": usage["input_tokens"],
            "outputTokens": usage["output_tokens"],
            "totalTokens": usage["total_tokens"],
            "cacheReadTokens": usage["cache_read_input_tokens"],
            "cacheWriteTokens": usage["cache_write_input_tokens"],
            "cost": row.cost,
            "costSource": "estimated",
        }
    return found


def _content(part: dict[str, Any]) -> list[dict[str, Any]]:
    """What a part other than a tool call is in goose: nothing, or one entry."""
    text = txt(part.get("text"))
    match part.get("type"):
        case "text" if text and part.get("synthetic") is True:
            return [{**_text(text), "annotations": {"audience": ["assistant"]}}]
        case "text" if text:
            return [_text(text)]
        case "reasoning" if text:
            return [{"type": "thinking", "thinking": text, "signature": ""}]
        case "file":
            return [_image(part) or _text(f"[Attached: {_name(part)}]")]
        case _:
            return []


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _image(file: dict[str, Any]) -> dict[str, Any] | None:
    match = _IMAGE_URL.fullmatch(txt(file.get("url")))
    return {"type": "image", "data": match[2], "mimeType": match[1]} if match else None


def _name(file: dict[str, Any]) -> str:
    url = txt(file.get("url"))
    return txt(file.get("filename")) or ("" if url.startswith("data:") else url) or "a file"


def _request(call_id: str, part: dict[str, Any]) -> dict[str, Any]:
    given = obj(part.get("state")).get("input")
    if given is None:
        given = {}
    elif not isinstance(given, dict) or json_text.too_deep(given, _DEEPEST_ARGUMENTS):
        given = {"input": given if isinstance(given, str) else json_text.dumps(given)}
    value = {"name": txt(part.get("tool")) or "tool", "arguments": given}
    return {"type": "toolRequest", "id": call_id, "toolCall": {"status": "success", "value": value}}


def _response(call_id: str, state: dict[str, Any]) -> list[dict[str, Any]]:
    """What the call came to; nothing while it goes on."""
    status = state.get("status")
    if status not in ("completed", "error"):
        return []
    said = state.get("error" if status == "error" else "output")
    text = said if isinstance(said, str) else "" if said is None else json_text.dumps(said)
    images = [image for file in items(state.get("attachments")) if (image := _image(obj(file)))]
    value = {"content": [_text(text), *images], "isError": status == "error"}
    return [{"type": "toolResponse", "id": call_id, "toolResult": {"status": "success", "value": value}}]
