"""A client for OpenAI's dialect that keeps up where many turns stream at once.

What is streamed is read by pydantic's validator: the library itself builds each chunk field by field in Python, which
takes twenty times as long. What the validator does not take, as from providers that are only nearly compatible, is left
to the library. And words that have arrived by the time they are looked at are one chunk: behind it, every chunk passes
through a dozen layers, so that a process that falls behind would fall further behind.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any

from openai import AsyncOpenAI
from openai._streaming import ServerSentEvent, SSEDecoder
from openai.types.chat import ChatCompletionChunk
from pydantic import ValidationError

# What of a delta is text that goes on where the one before ended.
_TEXTS = ("content", "reasoning_content", "reasoning")
# Padding that says nothing (OpenAI's API reference, ``include_obfuscation``).
_PADDING = "obfuscation"
_DONE = "[DONE]"


class QuickOpenAI(AsyncOpenAI):
    """The library's client, which it copies for its options."""

    def _process_response_data(self, *, data: object, cast_to: Any, response: Any) -> Any:
        if cast_to is ChatCompletionChunk:
            try:
                return ChatCompletionChunk.model_validate(data)
            except ValidationError:
                pass
        return super()._process_response_data(data=data, cast_to=cast_to, response=response)

    def _make_sse_decoder(self) -> SSEDecoder:
        return _Together()


class _Together(SSEDecoder):
    """Reads on while what came before is worked on, and hands on together what has arrived meanwhile."""

    async def aiter_bytes(self, iterator: AsyncIterator[bytes]) -> AsyncIterator[ServerSentEvent]:
        arrived: list[ServerSentEvent] = []
        news = asyncio.Event()

        async def read() -> None:
            try:
                async for event in super(_Together, self).aiter_bytes(iterator):
                    arrived.append(event)
                    news.set()
                    # What follows is for whoever ends the response.
                    if event.data.startswith(_DONE):
                        return
            finally:
                news.set()

        reading = asyncio.ensure_future(read())
        # Whoever stops listening closes the response under it, which is then nobody's error.
        reading.add_done_callback(lambda task: task.cancelled() or task.exception())
        try:
            while not reading.done() or arrived:
                await news.wait()
                news.clear()
                some, arrived[:] = arrived[:], []
                for event in merged(some):
                    yield event
            await reading
        finally:
            reading.cancel()


def merged(events: list[ServerSentEvent]) -> Iterator[ServerSentEvent]:
    """The same events, where neighbours that bring only text of one kind are one."""
    if len(events) < 2:
        yield from events
        return
    before: tuple[dict[str, Any], str] | None = None
    for event in events:
        chunk = _read(event)
        kind = _text_in(chunk) if chunk else ""
        if before and kind == before[1] and _rest(chunk, kind) == _rest(before[0], kind):
            _delta(before[0])[kind] += _delta(chunk)[kind]
            continue
        if before:
            yield ServerSentEvent(data=json.dumps(before[0]))
        before = (chunk, kind) if kind else None
        if before is None:
            yield event
    if before:
        yield ServerSentEvent(data=json.dumps(before[0]))


def _read(event: ServerSentEvent) -> dict[str, Any]:
    """The event's object; an empty one where it is none."""
    if event.event or event.data.startswith(_DONE):
        return {}
    try:
        chunk = json.loads(event.data)
    except ValueError:
        return {}
    return chunk if isinstance(chunk, dict) else {}


def _delta(chunk: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = chunk["choices"][0]["delta"]
    return found


def _text_in(chunk: dict[str, Any]) -> str:
    """The key of the text that is all that a chunk brings; nothing where it brings anything else."""
    match chunk:
        case {"choices": [{"delta": dict(delta), "finish_reason": None}]} if not chunk.get("usage"):
            said = [key for key, value in delta.items() if value is not None and key != "role"]
            if len(said) == 1 and said[0] in _TEXTS and isinstance(delta[said[0]], str):
                return str(said[0])
    return ""


def _rest(chunk: dict[str, Any], kind: str) -> dict[str, Any]:
    """What a chunk holds besides that text."""
    choice = {**chunk["choices"][0], "delta": _without(_delta(chunk), (kind, "role"))}
    return {**_without(chunk, (_PADDING,)), "choices": [choice]}


def _without(value: dict[str, Any], keys: Iterable[str]) -> dict[str, Any]:
    return {key: each for key, each in value.items() if key not in keys}
