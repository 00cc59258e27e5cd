"""Texts that grow: what comes of it is what an ``apply`` would have made."""

from typing import Any

import pytest

from project.accounts.models import User
from sessions_app import changes, growth, ingest
from sessions_app.models import Message, Part, Session
from tests import factories

pytestmark = pytest.mark.django_db


def a_session(owner: User, name: str) -> Session:
    session = Session.objects.create(owner=owner, source="gander", external_id=name)
    items = [
        factories.session_item(),
        factories.user_message("msg_1"),
        factories.text_part("prt_1", "msg_1", "Go on"),
        factories.assistant_message("msg_2"),
        factories.text_part("prt_2", "msg_2", "I"),
    ]
    return ingest.apply(session, [change for item in items for change in changes.from_item(item)])


def text(said: str, part: str = "prt_2") -> changes.PartChange:
    (change,) = changes.from_item(factories.text_part(part, "msg_2", said))
    assert isinstance(change, changes.PartChange)
    return change


def state(session: Session) -> list[dict[str, Any]]:
    clocks = ("id", "external_id", "share_id", "written_at", "updated_at", "created_at", "session_id")
    rows = [
        *Session.objects.filter(pk=session.pk).values(),
        *Message.objects.filter(session=session).order_by("external_id").values(),
        *Part.objects.filter(session=session).order_by("external_id").values(),
    ]
    return [{name: value for name, value in row.items() if name not in clocks} for row in rows]


def test_it_comes_to_the_same_as_applying_each(
    alice: User, django_capture_on_commit_callbacks: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    hinted: list[tuple[str, int]] = []
    monkeypatch.setattr(
        "sessions_app.hints.announce", lambda kind, session: hinted.append((kind, session.revision))
    )
    sessions = [a_session(alice, f"s{number}") for number in range(4)]
    applied, grown = sessions[:2], sessions[2:]
    for said in ("I am", "I am \ud800 here"):
        hinted.clear()
        with django_capture_on_commit_callbacks(execute=True):
            for session in applied:
                ingest.apply(session, [text(said)])
        one_by_one = list(hinted)
        hinted.clear()
        with django_capture_on_commit_callbacks(execute=True):
            after = growth.grow([(session, text(said)) for session in grown])
        assert hinted == one_by_one and [session.pk for session in after] == [s.pk for s in grown]
    before, now = (Session.objects.get(pk=session.pk) for session in (applied[0], grown[0]))
    assert now.updated_at > now.created_at and now.written_at >= before.written_at
    for one, other in zip(applied, grown, strict=True):
        left, right = state(one), state(other)
        assert [{k: v for k, v in row.items() if k != "message_id"} for row in left] == [
            {k: v for k, v in row.items() if k != "message_id"} for row in right
        ]


@pytest.mark.parametrize("part", ["prt_9", "deleted", "no message"])
def test_what_does_not_stand_is_not_written_in_part(alice: User, part: str) -> None:
    fine, other = a_session(alice, "fine"), a_session(alice, "other")
    before = state(fine)
    change = text("more", "prt_9" if part == "prt_9" else "prt_2")
    if part == "deleted":
        Session.objects.filter(pk=other.pk).delete()
    elif part == "no message":
        Message.objects.filter(session=other, external_id="msg_2").delete()
    with pytest.raises(growth.NotThere):
        growth.grow([(fine, text("more")), (other, change)])
    assert state(fine) == before
