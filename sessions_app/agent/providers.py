"""Models as pydantic-ai has them, and what their errors mean to people. Imported by the first turn, never before."""

from dataclasses import dataclass
from typing import Any

import httpx2
from django.conf import settings
from pydantic_ai.exceptions import (
    ModelAPIError,
    ModelAuthenticationError,
    ModelConnectionError,
    ModelContextWindowExceededError,
    ModelHTTPError,
    ModelNotFoundError,
    ModelQuotaExceededError,
    ModelRateLimitError,
    ModelRequestTimeout,
    ModelServerError,
    ModelTimeoutError,
    ModelUnavailableError,
    UnexpectedModelBehavior,
    UsageLimitExceeded,
    UserError,
)
from pydantic_ai.models import Model

from sessions_app.agent.choices import Choice, UnknownModel
from sessions_app.agent.models import Provider
from sessions_app.agent.workspaces import OutsideWorkspace


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a turn failed: opencode's name of the error, our code, and words that say what to do."""

    name: str
    code: str
    message: str
    status: int | None = None


_OURS = Trouble("UnknownError", "failed", "The turn failed on our side. The server's log says why.")


class Stalled(Exception):
    """The provider has sent nothing for ``api_timeout``."""


class MissingKey(Exception):
    """No key is set for the model's provider."""


# A model holds its provider's connections, which further turns go on using.
_models: dict[tuple[Choice, str], Model] = {}


def model_of(choice: Choice) -> Model:
    """The model, with its provider's key and address, the same one for every turn of the process.

    Raises:
        MissingKey: names the setting.
    """
    known = (choice, choice.key)
    if known not in _models:
        _models[known] = _made(choice)
    return _models[known]


def _made(choice: Choice) -> Model:
    """Only the provider's own library is imported.

    Raises:
        MissingKey: names the setting.
    """
    key, url = choice.key, choice.url or None
    if not key and choice.provider not in (Provider.OLLAMA, Provider.COMPATIBLE):
        raise MissingKey(choice.key_name)
    match choice.provider:
        case Provider.ANTHROPIC:
            from pydantic_ai.models.anthropic import AnthropicModel
            from pydantic_ai.providers.anthropic import AnthropicProvider

            return AnthropicModel(choice.name, provider=AnthropicProvider(api_key=key, base_url=url))
        case Provider.GOOGLE:
            from pydantic_ai.models.google import GoogleModel
            from pydantic_ai.providers.google import GoogleProvider

            return GoogleModel(choice.name, provider=GoogleProvider(api_key=key, base_url=url))
        case Provider.OLLAMA:
            from pydantic_ai.models.ollama import OllamaModel
            from pydantic_ai.providers.ollama import OllamaProvider

            from sessions_app.agent.chunks import QuickOpenAI

            at = url or "http://localhost:11434/v1"
            client = QuickOpenAI(base_url=at, api_key=key or "ollama")
            return OllamaModel(choice.name, provider=OllamaProvider(openai_client=client))
        case Provider.OPENAI:
            from pydantic_ai.models.openai import OpenAIChatModel
            from pydantic_ai.providers.openai import OpenAIProvider

            from sessions_app.agent.chunks import QuickOpenAI

            client = QuickOpenAI(base_url=url, api_key=key)
            return OpenAIChatModel(choice.name, provider=OpenAIProvider(openai_client=client))
        case _:
            from pydantic_ai.models.openai import OpenAIChatModel
            from pydantic_ai.providers.openai_compatible import OpenAICompatibleProvider

            from sessions_app.agent.chunks import QuickOpenAI

            # Without an address there is nobody to ask: the library's own would be OpenAI's.
            client = QuickOpenAI(base_url=url or "", api_key=key or "none")
            provider = OpenAICompatibleProvider("openai-compatible", openai_client=client)
            return OpenAIChatModel(choice.name, provider=provider)


def refused(error: BaseException) -> Trouble:
    """Why a turn ended before its model was known."""
    if isinstance(error, UnknownModel):
        return Trouble("APIError", "unknown_model", str(error))
    if isinstance(error, OutsideWorkspace):
        return Trouble("UnknownError", "outside_workspace", str(error))
    return _OURS


def explained(error: BaseException, choice: Choice) -> Trouble:
    """What happened, and what to do about it; nothing that a provider says of keys is passed on."""
    status = error.status_code if isinstance(error, ModelHTTPError) else None
    ask = "Ask an admin."
    who = f"{choice.provider.label} ({choice.id})"
    match error:
        case MissingKey():
            return Trouble(
                "ProviderAuthError",
                "missing_key",
                f"No key is set for {choice.provider.label}. An admin sets {choice.key_name} and restarts Gander.",
            )
        case ModelAuthenticationError():
            return Trouble(
                "ProviderAuthError",
                "wrong_key",
                f"{who} does not accept the key of this installation. An admin has to check {choice.key_name}.",
                status,
            )
        case ModelNotFoundError():
            return Trouble(
                "APIError",
                "unknown_model",
                f"{who} does not know this model. Pick another, or have an admin correct its name.",
                status,
            )
        case ModelQuotaExceededError():
            return Trouble("APIError", "quota", f"The account at {who} has no quota left. {ask}", status)
        case ModelRateLimitError():
            wait = f" It asks to wait {error.retry_after:.0f} s." if error.retry_after else ""
            return Trouble(
                "APIError",
                "rate_limit",
                f"{who} takes no more requests for the moment.{wait} Send the message again later.",
                status,
            )
        case ModelContextWindowExceededError():
            return Trouble(
                "APIError",
                "too_long",
                f"The conversation is longer than {choice.id} can read. Fork the session at an earlier message, or pick "
                "a model with a larger window.",
                status,
            )
        case Stalled() | ModelTimeoutError() | ModelRequestTimeout() | TimeoutError():
            return Trouble(
                "APIError",
                "timeout",
                f"{who} sent nothing for {settings.GANDER.api_timeout:g} seconds (api_timeout). Send the message again.",
            )
        case ModelServerError() | ModelUnavailableError():
            return Trouble(
                "APIError",
                "provider_failed",
                f"{who} failed with status {status or 'unknown'}. Send the message again later.",
                status,
            )
        case ModelConnectionError() | httpx2.TransportError() | ConnectionError():
            return Trouble(
                "APIError",
                "connection",
                f"The connection to {who} failed or broke off. Send the message again; if that does not help, have an "
                "admin check GANDER_PROVIDER_URL and the network.",
            )
        case UsageLimitExceeded():
            return Trouble(
                "MessageOutputLengthError",
                "limit",
                f"The turn reached this installation's limit: {_clean(str(error), choice)} Send a message to go on.",
            )
        case ModelAPIError():
            return Trouble(
                "APIError",
                "refused",
                f"{who} refused the request{f' with status {status}' if status else ''}: {_clean(str(error), choice)}",
                status,
            )
        case UnexpectedModelBehavior() | UserError():
            return Trouble(
                "UnknownError",
                "unexpected",
                f"{who} answered what makes no sense: {_clean(str(error), choice)}",
            )
    return _OURS


def _clean(text: str, choice: Choice) -> str:
    """A provider's words, short and without our key."""
    text = text.replace(choice.key, "…") if choice.key else text
    return text if len(text) <= 500 else f"{text[:499]}…"


def tokens_of(usage: Any) -> dict[str, Any]:
    """A request's usage in opencode's form, where ``input`` leaves out what came from or went into the cache."""
    read, written = usage.cache_read_tokens or 0, usage.cache_write_tokens or 0
    reasoning = int((usage.details or {}).get("reasoning_tokens", 0) or 0)
    return {
        "input": max((usage.input_tokens or 0) - read - written, 0),
        "output": max((usage.output_tokens or 0) - reasoning, 0),
        "reasoning": reasoning,
        "cache": {"read": read, "write": written},
    }


def cost_of(response: Any) -> float:
    """US dollars, an estimate; nothing for models whose price is not known."""
    try:
        return float(response.cost().total_price)
    except (LookupError, AssertionError, ValueError, TypeError, AttributeError):
        return 0.0
