"""Rows for tests, and the items that fill them."""

from typing import Any

from project.accounts.models import User
from sessions_app import ingest
from sessions_app.changes import from_item
from sessions_app.models import Session, Source
from tests.items import (
    PICTURE,
    T0,
    assistant_message,
    conversation,
    file_part,
    session_item,
    text_part,
    tool_part,
    user_message,
)

__all__ = [
    "PICTURE",
    "T0",
    "apply",
    "assistant_message",
    "conversation",
    "file_part",
    "session",
    "session_item",
    "text_part",
    "tool_part",
    "user",
    "user_message",
]


def user(name: str, *, staff: bool = False) -> User:
    return User.objects.create_user(
        name, password="correct horse battery", is_staff=staff, is_superuser=staff
    )


def apply(session: Session, *items: dict[str, Any]) -> Session:
    return ingest.apply(session, [change for item in items for change in from_item(item)])


def session(
    owner: User | None,
    *items: dict[str, Any],
    shared: bool = False,
    external_id: str = "ses_1",
    **fields: Any,
) -> Session:
    row = Session.objects.create(
        owner=owner, external_id=external_id, shared=shared, **{"source": Source.OPENCODE, **fields}
    )
    return apply(row, *(items or conversation()))
