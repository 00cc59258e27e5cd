"""The catalogue always holds what Gander brings itself."""

from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate

BUILT_IN = {"files": "List, read, search, write and edit files under the session's directory."}


class ExtensionsConfig(AppConfig):
    name = "extensions"

    def ready(self) -> None:
        post_migrate.connect(_add_built_in, sender=self)


def _add_built_in(using: str, **_: Any) -> None:
    from extensions.models import Extension, Kind

    for name, description in BUILT_IN.items():
        Extension.objects.using(using).get_or_create(
            name=name, defaults={"kind": Kind.BUILTIN, "description": description}
        )
