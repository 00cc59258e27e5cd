"""Through what a viewer comes to a session: asked at connecting, and again whenever the session changes."""

import uuid
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, Protocol

from django.urls import reverse

from sessions_app.models import Session
from sessions_app.reading import Reading


@dataclass(frozen=True, slots=True)
class Door:
    """A way to one session.

    ``open`` answers what may be read, or nothing; it runs on a thread. Doors with the same ``key`` always answer
    alike, so that it is asked once for all viewers that came through them. ``base`` is the address of the page, and
    ``name`` the id by which its viewers know the session.
    """

    key: Hashable
    open: Callable[[], Reading | None] = field(compare=False)
    base: str
    name: str
    owner: bool


class Client(Protocol):
    """Whoever connected, as an upper floor found out: it can be asked again."""

    @property
    def credential(self) -> Hashable:
        """What it presented."""

    def user_now(self) -> Any:
        """Who that belongs to by now."""


def of_owner(client: Client, session_id: uuid.UUID) -> Door:
    """The owner's door to a session of theirs."""

    def open_() -> Reading | None:
        session = Session.objects.owned_by(client.user_now()).filter(pk=session_id).first()
        return Reading(session) if session else None

    base = reverse("sessions:session", args=[session_id])
    return Door(("owner", client.credential), open_, base, str(session_id), owner=True)
