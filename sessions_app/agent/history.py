"""A session's content as the messages that a model is given: read from its rows, wherever it ran before."""

import base64
import binascii
import json
import re
from collections.abc import Iterable
from typing import Any

from pydantic_ai.messages import (
    BinaryContent,
    ModelMessage,
    ModelRequest,
    ModelResponse,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolReturnPart,
    UserContent,
    UserPromptPart,
)

from sessions_app.models import Message, Part
from sessions_app.render.tool import obj, txt

# What a tool's result may cost of the model's window.
_LONGEST_RESULT = 100_000
_DATA_URL = re.compile(r"^data:([\w.+-]+/[\w.+-]+);base64,(.*)$", re.DOTALL)


def of(messages: Iterable[Message], provider: str, goes_on: bool) -> list[ModelMessage]:
    """The conversation up to now.

    Args:
        messages: in order, with their parts at hand.
        provider: whose signatures of reasoning may be sent back.
        goes_on: whether calls of the last answer without a result are still to be made, as after a pause.
    """
    rows = [row for row in messages if row.role in ("user", "assistant")]
    found: list[ModelMessage] = []
    for row in rows:
        parts = sorted(row.parts.all(), key=lambda part: part.external_id)
        if row.role == "user":
            if content := _prompt(parts):
                found.append(ModelRequest(parts=[UserPromptPart(content)]))
            continue
        own = txt(obj(row.data).get("providerID"))
        steps = _steps(parts)
        for step in steps:
            said = _answer(step, provider, own)
            if not said:
                continue
            found.append(ModelResponse(parts=said))
            calls = [part for part in step if part.kind == "tool"]
            if calls and not (goes_on and row is rows[-1] and step is steps[-1]):
                found.append(ModelRequest(parts=[_returned(part) for part in calls]))
    return found


def _steps(parts: list[Part]) -> list[list[Part]]:
    """An answer's parts by the requests to the model that they came of."""
    steps: list[list[Part]] = [[]]
    for part in parts:
        if part.kind == "step-start" and steps[-1]:
            steps.append([])
        steps[-1].append(part)
    return steps


def _prompt(parts: list[Part]) -> list[UserContent]:
    content: list[UserContent] = []
    for part in parts:
        data = obj(part.data)
        if part.kind == "text" and not data.get("ignored"):
            content.append(txt(data.get("text")))
        elif part.kind == "file" and (image := _image(txt(data.get("url")), txt(data.get("mime")))):
            content.append(image)
    return [piece for piece in content if not isinstance(piece, str) or piece.strip()]


def _image(url: str, mime: str) -> BinaryContent | None:
    match = _DATA_URL.match(url)
    if match is None or not mime.startswith("image/"):
        return None
    try:
        return BinaryContent(base64.b64decode(match[2]), media_type=match[1])
    except binascii.Error:
        return None


def _answer(parts: list[Part], provider: str, own: str) -> list[Any]:
    said: list[Any] = []
    for part in parts:
        data = obj(part.data)
        # Some providers refuse text that is nothing but space.
        if part.kind == "text" and txt(data.get("text")).strip():
            said.append(TextPart(txt(data.get("text"))))
        elif part.kind == "reasoning":
            signed = obj(data.get("metadata"))
            if own == provider and txt(signed.get("signature")):
                said.append(
                    ThinkingPart(
                        txt(data.get("text")),
                        id=txt(signed.get("id")) or None,
                        signature=txt(signed.get("signature")),
                        provider_name=txt(signed.get("provider")) or None,
                    )
                )
        elif part.kind == "tool":
            said.append(
                ToolCallPart(name_of(data), obj(obj(data.get("state")).get("input")), call_id_of(part))
            )
    return said


def name_of(data: dict[str, Any]) -> str:
    """A tool's name in the characters that every provider takes."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", txt(data.get("tool")) or "tool")[:64]


def call_id_of(part: Part) -> str:
    """A call's id in the characters, and of the length, that every provider takes."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", txt(obj(part.data).get("callID")) or part.external_id)[:64]


def _returned(part: Part) -> ToolReturnPart:
    data = obj(part.data)
    return ToolReturnPart(name_of(data), result_of(data), tool_call_id=call_id_of(part))


def result_of(data: dict[str, Any]) -> str:
    """What the model is told of a call that has ended."""
    state = obj(data.get("state"))
    if state.get("status") == "error":
        return shortened(f"Error: {state.get('error')}")
    if state.get("status") != "completed":
        return "Error: the call was interrupted and has no result."
    output = state.get("output")
    return shortened(output if isinstance(output, str) else json.dumps(output, ensure_ascii=False))


def shortened(text: str) -> str:
    """A result as it fits into the model's window."""
    if len(text) <= _LONGEST_RESULT:
        return text
    return f"{text[:_LONGEST_RESULT]}\n… {len(text) - _LONGEST_RESULT:,} more characters were cut off"
