"""What somebody has allowed once and for all of an extension's tools holds for that program, and for no other of its name."""

from typing import Any

from extensions.models import Extension
from sessions_app.agent.models import ToolChoice


def on_change(instance: Extension, raw: bool = False, **_: Any) -> None:
    """Before an extension is saved: forgets what was allowed of the program that it was."""
    before = None if raw or instance.pk is None else Extension.objects.filter(pk=instance.pk).first()
    if before is not None and _program(before) != _program(instance):
        _forget(before)


def on_delete(instance: Extension, **_: Any) -> None:
    """Another may come to have its name."""
    _forget(instance)


def _program(extension: Extension) -> tuple[Any, ...]:
    return extension.name, extension.kind, extension.command, extension.arguments, extension.url


def _forget(extension: Extension) -> None:
    # No name has two underscores. What is denied stays denied.
    ToolChoice.objects.filter(tool__startswith=f"{extension.name}__", allowed=True).delete()
