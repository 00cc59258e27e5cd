"""A run of a turn by itself: what becomes of one that is taken up again and comes to nothing."""

import asyncio
import time
from typing import Any, cast

import pytest

from project.accounts.models import User
from sessions_app.agent import claims, desk
from sessions_app.agent.loop import Run
from sessions_app.agent.models import AgentSettings, State, Turn, TurnEvent
from tests import factories
from tests.scenes import play

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def paused(alice: User) -> Turn:
    """A turn that paused, was decided about, and is claimed again."""
    session = factories.session(
        alice,
        factories.session_item(),
        factories.user_message(),
        factories.assistant_message(parentID="msg_1"),
        factories.tool_part("files__write", state={"status": "pending", "input": {}}),
        source="gander",
    )
    AgentSettings.objects.create(session=session)
    turn = Turn.objects.create(
        session=session,
        prompt="msg_1",
        mode="approve",
        state=State.RUNNING,
        executor="here",
        lease_until=claims.lease_end(),
    )
    for number, name in enumerate(("tool_call", "approval_required"), 1):
        TurnEvent.objects.create(turn=turn, number=number, name=name, message="msg_2", part="prt_2")
    return turn


def run(turn: Turn, *, stop: str = "") -> list[tuple[int, str]]:
    """Runs it, and stops it where it reads; the turn's events."""

    async def scene() -> None:
        running = Run(turn, cast(Any, None), cast(Any, None))
        task = asyncio.ensure_future(running.run())
        await asyncio.sleep(0.05)
        if stop:
            running.stop(stop)
        await asyncio.wait_for(task, 10)

    play(scene)
    turn.refresh_from_db()
    return list(turn.events.order_by("number").values_list("number", "name"))


def test_one_that_is_cancelled_before_it_was_read_is_cancelled(
    paused: Turn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk, "read", lambda _turn: time.sleep(0.5))
    events = run(paused, stop="cancelled")
    assert paused.state == State.CANCELLED and paused.stop_reason == "cancelled"
    assert [number for number, _ in events] == list(range(1, len(events) + 1))
    assert events[-1][1] == "message_complete"


def test_one_that_cannot_be_read_fails_and_says_so(paused: Turn, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(_turn: Turn) -> None:
        raise RuntimeError("no")

    monkeypatch.setattr(desk, "read", read)
    events = run(paused)
    assert paused.state == State.FAILED
    assert [name for _, name in events][-2:] == ["error", "message_complete"]
    assert paused.events.get(name="error").data["code"] == "failed"
