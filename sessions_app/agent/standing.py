"""What somebody has allowed once and for all of an extension's tools holds for that program, and for no other of its name."""

from typing import Any

from django.db import transaction

from extensions.models import Extension
from sessions_app.agent import turns
from sessions_app.agent.models import State, ToolChoice, Turn


def on_change(instance: Extension, raw: bool = False, **_: Any) -> None:
    """Before an extension is saved: forgets what was allowed of the program that it was."""
    before = None if raw or instance.pk is None else Extension.objects.filter(pk=instance.pk).first()
    if before is not None and before.program != instance.program:
        _forget(before)


def on_delete(instance: Extension, **_: Any) -> None:
    """Another may come to have its name."""
    _forget(instance)


def _forget(extension: Extension) -> None:
    # No name has two underscores. What is denied stays denied.
    tools = f"{extension.name}__"
    ToolChoice.objects.filter(tool__startswith=tools, allowed=True).delete()
    # What waits for a word was asked of the other program; the word would be taken for this one.
    waiting = Turn.objects.filter(
        state=State.WAITING, approvals__tool__startswith=tools, approvals__action=""
    )
    for pk in waiting.values_list("pk", flat=True).distinct():
        with transaction.atomic():
            _, turn = turns.locked(Turn.objects.get(pk=pk))
            if turn.state == State.WAITING:
                why = f"Cancelled: an admin changed the extension {extension.name} while a call of it waited."
                turns.end(turn, State.CANCELLED, "cancelled", why)
