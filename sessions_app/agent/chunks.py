"""A client for OpenAI's dialect that has what is streamed read by pydantic's validator.

The library itself builds each chunk field by field in Python, which takes twenty times as long and, with many turns at
once, was a third of all their work. What the validator does not take, as from providers that are only nearly compatible,
is left to the library.
"""

from typing import Any

from openai import AsyncOpenAI
from openai.types.chat import ChatCompletionChunk
from pydantic import ValidationError


class QuickOpenAI(AsyncOpenAI):
    """The library's client, which it copies for its options."""

    def _process_response_data(self, *, data: object, cast_to: Any, response: Any) -> Any:
        if cast_to is ChatCompletionChunk:
            try:
                return ChatCompletionChunk.model_validate(data)
            except ValidationError:
                pass
        return super()._process_response_data(data=data, cast_to=cast_to, response=response)
