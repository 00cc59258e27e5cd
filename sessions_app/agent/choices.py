"""Which models agents may run on: the installation's default, and those that admins allow."""

from dataclasses import dataclass
from typing import Any

from django.conf import settings

from sessions_app.agent.models import AllowedModel, Provider

# The setting that holds each provider's key.
KEYS = {
    Provider.ANTHROPIC: ("anthropic_api_key", "ANTHROPIC_API_KEY"),
    Provider.OPENAI: ("openai_api_key", "OPENAI_API_KEY"),
    Provider.GOOGLE: ("google_api_key", "GOOGLE_API_KEY"),
    Provider.OLLAMA: ("ollama_api_key", "OLLAMA_API_KEY"),
    Provider.COMPATIBLE: ("openai_api_key", "OPENAI_API_KEY"),
}


class UnknownModel(ValueError):
    """A model that agents may not run on here; the message says which they may."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A model, as ``provider/name``, and where its provider answers if not at its usual address."""

    provider: Provider
    name: str
    url: str = ""

    @property
    def id(self) -> str:
        return f"{self.provider}/{self.name}"

    @property
    def key(self) -> str:
        """The provider's key, empty where none is set."""
        field, _ = KEYS[self.provider]
        return str(getattr(settings.GANDER, field).get_secret_value())

    @property
    def key_name(self) -> str:
        return KEYS[self.provider][1]


def available() -> list[Choice]:
    """Every model that may be picked, the default first."""
    gander: Any = settings.GANDER
    found: list[Choice] = []
    if gander.provider and gander.model:
        found.append(Choice(Provider(gander.provider.value), gander.model, gander.provider_url))
    for row in AllowedModel.objects.all():
        choice = Choice(Provider(row.provider), row.name, row.url or _usual_url(row.provider))
        if choice.id not in {each.id for each in found}:
            found.append(choice)
    return found


def _usual_url(provider: str) -> str:
    """Further models of the default's provider are had where that is."""
    same = settings.GANDER.provider is not None and settings.GANDER.provider.value == provider
    return str(settings.GANDER.provider_url) if same else ""


def chosen(model: str) -> Choice:
    """The model of this name (``provider/name``, or the name alone); the default for an empty one.

    Raises:
        UnknownModel: it may not be used here, or none may.
    """
    found = available()
    if not found:
        raise UnknownModel(
            "No model is set up here. An admin sets GANDER_PROVIDER and GANDER_MODEL, or allows models in the admin panel."
        )
    if not model:
        return found[0]
    for choice in found:
        if model in (choice.id, choice.name):
            return choice
    raise UnknownModel(
        f"The model {model} is not allowed here. You may use {', '.join(each.id for each in found)}."
    )
