"""What a provider of OpenAI's dialect streams is read the same way, whoever reads it."""

from typing import Any

import httpx2
import pytest
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletionChunk

from sessions_app.agent.chunks import QuickOpenAI


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
