"""What members do with the catalogue: look at it, and switch extensions on and off for themselves."""

from dataclasses import dataclass
from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import Q

from extensions import policy
from extensions.models import Enabled, Extension, Kind

_MOST_NAMES = 3


class Refused(Exception):
    """The allowlist does not let this extension run; the message says why and whom to ask."""


@dataclass(frozen=True, slots=True)
class Switch:
    """An extension as one member sees it."""

    extension: Extension
    enabled: bool


def of(user: Any) -> list[Switch]:
    """What is offered, and what this member has switched on."""
    chosen = dict(Enabled.objects.filter(user=user).values_list("extension", "on"))
    return [
        Switch(row, chosen.get(row.pk, row.kind == Kind.BUILTIN))
        for row in Extension.objects.filter(offered=True)
    ]


def enabled(user: Any) -> list[Extension]:
    """What this member has switched on, and what is built in and not switched off."""
    return [switch.extension for switch in of(user) if switch.enabled]


def enable(user: Any, name: str) -> Extension:
    """Switches an extension on.

    Raises:
        Extension.DoesNotExist: nothing of this name is offered.
        Refused: it may not run.
    """
    extension = Extension.objects.get(name=name, offered=True)
    decision = policy.check(extension, user, "enabling")
    if not decision.allowed:
        raise Refused(f"{decision.reason} {whom_to_ask()}")
    Enabled.objects.update_or_create(user=user, extension=extension, defaults={"on": True})
    return extension


def disable(user: Any, name: str) -> Extension:
    """Switches an extension off, offered or not any more.

    Raises:
        Extension.DoesNotExist: none of this name is offered, or was and is on.
    """
    known = Q(offered=True) | Q(enabled__user=user)
    extension = Extension.objects.filter(known).distinct().get(name=name)
    Enabled.objects.update_or_create(user=user, extension=extension, defaults={"on": False})
    return extension


def whom_to_ask() -> str:
    """A sentence that names the admins."""
    admins = get_user_model().objects.filter(is_staff=True, is_active=True).order_by("pk")
    names = [user.get_username() for user in admins[:_MOST_NAMES]]
    return f"To have it allowed, ask {' or '.join(names)}." if names else "To have it allowed, ask an admin."
