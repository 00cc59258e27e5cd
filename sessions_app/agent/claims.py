"""Who runs a turn: it is claimed by one executor, which holds a lease on it; a lease that ran out ends the turn."""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from sessions_app.agent import executors, turns
from sessions_app.agent.models import State, Turn


def expire() -> int:
    """Marks turns whose executor has not renewed its lease as interrupted; how many those were."""
    gone = Turn.objects.filter(state=State.RUNNING, lease_until__lt=timezone.now()).values_list(
        "pk", flat=True
    )
    count = 0
    for pk in list(gone[:100]):
        with transaction.atomic():
            _, turn = turns.locked(Turn.objects.get(pk=pk))
            if turn.state != State.RUNNING or turn.lease_until is None or turn.lease_until >= timezone.now():
                continue
            turns.end(
                turn,
                State.INTERRUPTED,
                "interrupted",
                "Interrupted: the server stopped while the agent worked.",
            )
            count += 1
    return count


def any_wait() -> bool:
    """Whether a turn waits for an executor."""
    return Turn.objects.filter(state=State.QUEUED).exists()


def claim(executor: str) -> Turn | None:
    """Takes the turn that has waited longest, for one executor and no other; nothing where none waits."""
    for pk in Turn.objects.filter(state=State.QUEUED).order_by("created_at").values_list("pk", flat=True)[:5]:
        taken = Turn.objects.filter(pk=pk, state=State.QUEUED).update(
            state=State.RUNNING, executor=executor, lease_until=lease_end()
        )
        if taken:
            return Turn.objects.select_related("session", "session__owner").get(pk=pk)
    return None


def release(turn: Turn) -> None:
    """Gives a claimed turn back before anything of it was done."""
    mine = Turn.objects.filter(pk=turn.pk, executor=turn.executor, state=State.RUNNING)
    if mine.update(state=State.QUEUED, executor="", lease_until=None):
        executors.wake()


def lease_end() -> Any:
    """Until when a lease taken now lasts."""
    return timezone.now() + timedelta(seconds=settings.GANDER.turn_lease_seconds)
