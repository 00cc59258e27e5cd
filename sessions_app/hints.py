"""Hints that a session changed, for whoever watches it; the truth stays in the database.

Channel layers deliver at most once, so nothing may rely on a hint: viewers ask for what is new after the last revision
that they have seen.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer

from sessions_app.models import Session

logger = logging.getLogger(__name__)

CREATED = "session-created"
UPDATED = "session-updated"
DELETED = "session-deleted"

OWNER_GROUP = "owner."
_PATIENCE = 2.0
_loop: asyncio.AbstractEventLoop | None = None
# Tasks are kept here until they end: a loop holds only weak references to them.
_running: set[asyncio.Task[None]] = set()


def session_group(session_id: object) -> str:
    """The group of those who watch one session."""
    return f"session.{session_id}"


def owner_group(owner_id: object) -> str:
    """The group of those who watch one person's list."""
    return f"{OWNER_GROUP}{owner_id}"


def use_loop(loop: asyncio.AbstractEventLoop) -> None:
    """Names the server's event loop: a loop of a worker thread's own would never wake the in-memory layer."""
    global _loop
    _loop = loop


def announce(kind: str, session: Session) -> None:
    """Sends a hint about the session, soon and without waiting; call it after the commit."""
    groups = [session_group(session.pk)]
    if session.owner_id is not None:
        groups.append(owner_group(session.owner_id))
    _send_soon(groups, _hint(kind, session))


def tell(kind: str, session: Session) -> None:
    """Sends those who have to do with the session itself, and no list, a word that changes nothing in it."""
    _send_soon([session_group(session.pk)], _hint(kind, session))


def on_loop(work: Callable[[], None]) -> bool:
    """Has something done on the server's event loop, soon; whether there is one."""
    if _loop is None or not _loop.is_running():
        return False
    _loop.call_soon_threadsafe(work)
    return True


def _hint(kind: str, session: Session) -> dict[str, Any]:
    return {
        "type": kind,
        "id": str(session.pk),
        "revision": session.revision,
        "owner": session.owner_id,
    }


def _send_soon(groups: list[str], hint: dict[str, Any]) -> None:
    if _loop is not None and _loop.is_running():
        _loop.call_soon_threadsafe(_start, groups, hint)
        return
    try:
        async_to_sync(_send)(groups, hint)
    except RuntimeError:
        logger.warning("a hint was dropped: called from within an event loop")


def _start(groups: list[str], hint: dict[str, Any]) -> None:
    task = asyncio.ensure_future(_send(groups, hint))
    _running.add(task)
    task.add_done_callback(_running.discard)


async def _send(groups: list[str], hint: dict[str, Any]) -> None:
    layer = get_channel_layer()
    try:
        async with asyncio.timeout(_PATIENCE):
            for group in groups:
                await layer.group_send(group, hint)
    except Exception as error:
        logger.warning("a hint was dropped: %s: %s", type(error).__name__, error)
