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

    ``open`` answers what may be read, or nothing; it runs on a thread. Doors with the same ``key`` answer alike, so that
    one is asked for all viewers that came through them. ``base`` is the address of the page, and ``name`` the id by which
    its viewers know the session.

    Where it also matters who somebody is, but not to what they read, ``who`` is that, and ``open`` asks it, at connecting
    and now and then; ``open_again`` is asked at every change, of all members at once.
    """

    key: Hashable
    open: Callable[[], Reading | None] = field(compare=False)
    base: str
    name: str
    owner: bool
    who: Hashable = None
    reopen: Callable[[], Reading | None] | None = field(default=None, compare=False)

    def open_again(self) -> Reading | None:
        """What may be read by all who came through doors with this key, as far as they still may."""
        return (self.reopen or self.open)()


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
