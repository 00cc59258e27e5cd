"""What a provider of OpenAI's dialect streams is read the same way, whoever reads it."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from openai import APIConnectionError, AsyncOpenAI
from openai._streaming import ServerSentEvent
from openai.types.chat import ChatCompletionChunk

from sessions_app.agent.chunks import QuickOpenAI, merged


def chunk(*choices: dict[str, Any], **fields: Any) -> dict[str, Any]:
    head = {"id": "c1", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": "m"}
    return {**head, "choices": list(choices), **fields}


CALL = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a'}}


@pytest.mark.parametrize(
    "data",
    [
        chunk({"index": 0, "delta": {"content": "hello "}, "finish_reason": None}),
        chunk({"index": 0, "delta": {"role": "assistant", "tool_calls": [CALL]}, "finish_reason": None}),
        chunk({"index": 0, "delta": {}, "finish_reason": "stop"}, system_fingerprint="fp"),
        chunk(usage={"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3, "cost": 0.1}),
        # Of their own, and nearly compatible.
        chunk({"index": 0, "delta": {"reasoning_content": "hm"}, "finish_reason": None}, provider="x"),
        chunk({"delta": {"content": "no index"}}),
        chunk({"index": 0, "delta": {"content": "x"}, "finish_reason": "because"}),
        chunk({"index": 0, "delta": None, "finish_reason": None}, created=None),
        {"choices": None},
        {"error_of_some_kind": True},
    ],
)
def test_a_chunk_is_the_same_as_the_library_makes_it(data: dict[str, Any]) -> None:
    quick, slow = (
        kind(api_key="x", http_client=httpx2.AsyncClient()).with_options(max_retries=0)
        for kind in (QuickOpenAI, AsyncOpenAI)
    )
    response = httpx2.Response(200)
    ours = quick._process_response_data(data=data, cast_to=ChatCompletionChunk, response=response)
    theirs = slow._process_response_data(data=data, cast_to=ChatCompletionChunk, response=response)
    assert type(ours) is type(theirs) and ours.to_dict() == theirs.to_dict()


def content(text: str | None, **fields: Any) -> dict[str, Any]:
    return chunk({"index": 0, "delta": {"content": text}, "finish_reason": None}, **fields)


def thought(text: str) -> dict[str, Any]:
    return chunk({"index": 0, "delta": {"reasoning_content": text}, "finish_reason": None})


FIRST = chunk({"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None})
TOOL = chunk({"index": 0, "delta": {"tool_calls": [CALL]}, "finish_reason": None})
STOP = chunk({"index": 0, "delta": {}, "finish_reason": "stop"})
USAGE = chunk(usage={"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3})


@pytest.mark.parametrize(
    ("sent", "got"),
    [
        ([content("a"), content("b"), content("c")], [content("abc")]),
        ([FIRST, content("a"), content("b")], [{**FIRST, "choices": [{**FIRST["choices"][0], "delta": {"role": "assistant", "content": "ab"}}]}]),
        ([content("a", obfuscation="x"), content("b", obfuscation="yy")], [content("ab", obfuscation="x")]),
        ([thought("a"), thought("b"), content("c"), content("d")], [thought("ab"), content("cd")]),
        ([content("a"), TOOL, TOOL, content("b"), content("c"), STOP, USAGE], [content("a"), TOOL, TOOL, content("bc"), STOP, USAGE]),
        # What differs in anything else is of another answer.
        ([content("a"), content("b", id="c2"), content("c", id="c2")], [content("a"), content("bc", id="c2")]),
        ([content("a"), content(None), content("b")], [content("a"), content(None), content("b")]),
        ([content("a"), {"error_of_some_kind": True}, content("b")], [content("a"), {"error_of_some_kind": True}, content("b")]),
    ],
)  # fmt: skip
def test_neighbours_that_bring_only_text_are_one(
    sent: list[dict[str, Any]], got: list[dict[str, Any]]
) -> None:
    events = [ServerSentEvent(data=json.dumps(each)) for each in sent]
    assert [event.json() for event in merged(events)] == got


class Wire(httpx2.AsyncByteStream):
    """A body that comes piece by piece, waiting between where told; ``None`` breaks it off."""

    def __init__(self, *pieces: bytes | float | None) -> None:
        self.pieces = pieces
        self.closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self.pieces:
            if piece is None:
                raise httpx2.ReadError("cut off")
            if isinstance(piece, float):
                await asyncio.sleep(piece)
            else:
                yield piece

    async def aclose(self) -> None:
        self.closed = True


async def streamed(
    kind: type[AsyncOpenAI], wire: Wire, pause: float = 0
) -> tuple[list[Any], BaseException | None]:
    """The chunks that come, for one who takes a while over each, and how it ended."""
    head = {"content-type": "text/event-stream"}
    transport = httpx2.MockTransport(lambda _: httpx2.Response(200, headers=head, stream=wire))
    client = kind(api_key="x", max_retries=0, http_client=httpx2.AsyncClient(transport=transport))
    found: list[Any] = []
    try:
        stream = await client.chat.completions.create(model="m", messages=[], stream=True)
        async for each in stream:
            found.append(each)
            await asyncio.sleep(pause)
    except Exception as error:
        return found, error
    return found, None


def said(chunks: list[Any]) -> str:
    return "".join(choice.delta.content or "" for each in chunks for choice in each.choices)


def line(data: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(data)}\n\n".encode()


WORDS = [line(content(f"word{n} ")) for n in range(40)]
DONE = b"data: [DONE]\n\n"


@pytest.mark.parametrize("pause", [0.0, 0.01])
def test_a_whole_answer_says_the_same_and_comes_together_to_who_is_slow(pause: float) -> None:
    pieces = [piece for word in WORDS for piece in (word, 0.001)]

    def wire() -> Wire:
        return Wire(
            line(FIRST),
            *pieces,
            b": heartbeat\n\n",
            line(TOOL),
            line(STOP),
            line(USAGE)[:9],
            line(USAGE)[9:],
            DONE,
        )

    ours, error = asyncio.run(streamed(QuickOpenAI, wire(), pause))
    theirs, _ = asyncio.run(streamed(AsyncOpenAI, wire()))
    assert error is None and said(ours) == said(theirs)
    assert [each.to_dict() for each in ours[-3:]] == [each.to_dict() for each in theirs[-3:]]
    if pause:
        assert len(ours) < len(theirs) / 2


def test_what_came_before_it_was_cut_off_is_had() -> None:
    found, error = asyncio.run(streamed(QuickOpenAI, Wire(*WORDS[:3], None)))
    assert said(found) == "word0 word1 word2 " and isinstance(error, APIConnectionError)


def test_who_stops_listening_leaves_nothing_running() -> None:
    wire = Wire(*WORDS[:3], 60.0)

    async def scene() -> set[Any]:
        task = asyncio.ensure_future(streamed(QuickOpenAI, wire))
        await asyncio.sleep(0.2)
        task.cancel()
        await asyncio.wait({task})
        await asyncio.sleep(0.05)
        return asyncio.all_tasks() - {asyncio.current_task()}

    assert asyncio.run(scene()) == set()
    assert wire.closed
