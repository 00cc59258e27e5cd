"""Writes what all turns of a process have to write, together: what comes while one lot is written makes up the next.

Transaction, leases, events and texts that have grown are written together; what else a turn has is an ``apply`` of its own.
"""

import asyncio
import contextlib
import logging
import time
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.exceptions import ObjectDoesNotExist
from django.db import IntegrityError, InterfaceError, OperationalError, transaction

from sessions_app import growth, ingest
from sessions_app.agent import claims, desk
from sessions_app.agent.desk import LostLease
from sessions_app.agent.models import Approval, State, Turn, TurnEvent
from sessions_app.agent.record import Batch
from sessions_app.live.threads import Threads
from sessions_app.models import Session

logger = logging.getLogger(__name__)

_TRY_AGAIN_SECONDS = 0.5
_BREATH_SECONDS = 0.03
_in_thread = Threads(1, "writer").run


@dataclass(slots=True)
class _Entry:
    turn: Turn
    batch: Batch
    # Whether the turn is to be cancelled, or why nothing could be written to it.
    done: "asyncio.Future[bool]"
    since: float = field(default_factory=time.monotonic)


class Writer:
    """The one who writes for every turn of an event loop."""

    def __init__(self) -> None:
        self._waiting: list[_Entry] = []
        self._task: asyncio.Task[None] | None = None

    async def write(self, turn: Turn, batch: Batch) -> bool:
        """Writes a turn's batch and renews its lease; whether the turn is to be cancelled.

        Raises:
            LostLease: the turn is no longer its executor's.
            ObjectDoesNotExist: its session is gone.
        """
        entry = _Entry(turn, batch, asyncio.get_running_loop().create_future())
        self._waiting.append(entry)
        if self._task is None or self._task.done():
            self._task = asyncio.ensure_future(self._run())
        return await entry.done

    async def _run(self) -> None:
        while self._waiting:
            lot, self._waiting = self._waiting, []
            answers: list[Any] = await _in_thread(_write, [(entry.turn, entry.batch) for entry in lot])
            again = [entry for entry, answer in zip(lot, answers, strict=True) if _passes(answer, entry)]
            if again:
                logger.warning("the database fails; what %s turns have written waits", len(again))
                self._waiting = again + self._waiting
                await asyncio.sleep(_TRY_AGAIN_SECONDS)
            for entry, answer in zip(lot, answers, strict=True):
                if entry in again:
                    continue
                with contextlib.suppress(asyncio.InvalidStateError):  # nobody waits any more
                    if isinstance(answer, Exception):
                        entry.done.set_exception(answer)
                    else:
                        entry.done.set_result(answer)
            if self._waiting:
                # SQLite has no queue for its lock: who began to wait meanwhile, as for a new turn, gets a chance.
                await asyncio.sleep(_BREATH_SECONDS)


def _passes(answer: object, entry: _Entry) -> bool:
    """Whether this is trouble with the database that may be over before the turn's lease is."""
    passing = isinstance(answer, (OperationalError, InterfaceError))
    return passing and time.monotonic() - entry.since < settings.GANDER.turn_lease_seconds


class _Contended(Exception):
    """A turn changed hands while its lot was written."""


def _write(lot: list[tuple[Turn, Batch]]) -> list[bool | Exception]:
    """An answer for each of the lot, as :meth:`Writer.write` gives it."""
    if len(lot) > 1:
        try:
            return _together(lot)
        except _Contended:
            pass
        except Exception:
            # What one of them brought on is not the others' trouble.
            logger.exception("turns are written one by one")
    return [_alone(turn, batch) for turn, batch in lot]


def _alone(turn: Turn, batch: Batch) -> bool | Exception:
    try:
        return desk.write(turn, batch)
    except Exception as error:
        return error


def _together(lot: list[tuple[Turn, Batch]]) -> list[bool | Exception]:
    keys = [turn.pk for turn, _ in lot]
    mine = Turn.objects.filter(pk__in=keys, executor=lot[0][0].executor, state=State.RUNNING)
    answers: list[bool | Exception] = []
    with transaction.atomic():
        held = dict(mine.values_list("pk", "cancelling"))
        grown = _grown([(turn, batch) for turn, batch in lot if turn.pk in held])
        events: list[TurnEvent] = []
        approvals: list[Approval] = []
        for turn, batch in lot:
            if turn.pk not in held:
                answers.append(LostLease())
                continue
            try:
                session = grown.get(turn.session_id) or (
                    ingest.apply(turn.session, batch.changes) if batch.changes else None
                )
            except ObjectDoesNotExist as error:
                held.pop(turn.pk)
                answers.append(error)
                continue
            gone = session is not None and session.deleted_at is not None
            answers.append(gone or held[turn.pk])
            events += batch.events
            approvals += batch.approvals
        if mine.filter(pk__in=list(held)).update(lease_until=claims.lease_end()) != len(held):
            raise _Contended
        try:
            desk.note(events, approvals)
        except IntegrityError:
            raise _Contended from None
    return answers


def _grown(lot: list[tuple[Turn, Batch]]) -> dict[UUID, Session]:
    """Writes all texts that have but grown, which is most of what there is to write, at once; their sessions by key."""
    texts = [(turn.session, batch.grown) for turn, batch in lot if batch.grown is not None]
    try:
        return {session.pk: session for session in growth.grow(texts)} if texts else {}
    except growth.NotThere:
        return {}
