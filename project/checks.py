"""What must not be started at all."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register


@register()
def several_processes_need_redis(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Channel layers in memory reach nobody outside of their process."""
    gander = settings.GANDER
    if gander.workers > 1 and not gander.redis_url:
        return [
            Error(
                f"GANDER_WORKERS is {gander.workers}, and there is no Redis for messages between the processes.",
                hint="Set REDIS_URL, or leave GANDER_WORKERS at 1.",
                id="gander.E001",
            )
        ]
    if gander.turns_run_in == "worker" and not gander.redis_url:
        return [
            Error(
                "GANDER_TURNS_RUN_IN is worker, and there is no Redis through which workers are reached.",
                hint="Set REDIS_URL, or leave GANDER_TURNS_RUN_IN at server.",
                id="gander.E002",
            )
        ]
    return []


@register()
def an_agents_provider_is_whole(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """A default model is a provider's, and an OpenAI-compatible one is somewhere."""
    gander = settings.GANDER
    if gander.provider and not gander.model:
        hint = "Set GANDER_MODEL to the name by which the provider knows the model."
        return [Error("GANDER_PROVIDER is set and GANDER_MODEL is not.", hint=hint, id="gander.E003")]
    if gander.provider == "openai-compatible" and not gander.provider_url:
        hint = "Set GANDER_PROVIDER_URL, such as https://models.example.org/v1."
        return [
            Error(
                "GANDER_PROVIDER is openai-compatible, and there is no address.", hint=hint, id="gander.E004"
            )
        ]
    return []
