"""Runs the turns that wait, as many at once as the configuration lets this process; each is claimed by one executor."""

import asyncio
import contextlib
import logging
import secrets
import time
import uuid
import weakref
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from django.conf import settings

from extensions.connections import Connections
from sessions_app.agent import claims, executors, follow, turns
from sessions_app.agent.models import Turn
from sessions_app.agent.writer import Writer
from sessions_app.live.hubs import hubs
from sessions_app.live.threads import Threads

if TYPE_CHECKING:
    from sessions_app.agent.loop import Run

logger = logging.getLogger(__name__)

# Turns whose wake-up was lost are found by the tick.
TICK = 2.0
_SWEEP_EVERY = 5.0
# Of the time in which a server that stops lets things end, the last part is for what has to be written.
_LAST_WORDS = 2.0
_in_thread = Threads(1, "turns").run


class Executor:
    """The turns of one process; it lives on one event loop."""

    def __init__(self) -> None:
        self.name = secrets.token_hex(8)
        self.connections = Connections()
        self.writer = Writer()
        self._running: dict[uuid.UUID, Run] = {}
        # Claimed, running or about to.
        self._held = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._woken = asyncio.Event()
        self._swept = 0.0
        self._run_class: type[Run] | None = None
        self._draining = False
        self._loop = asyncio.ensure_future(self._run())

    @property
    def busy(self) -> bool:
        """Whether turns still run here."""
        return bool(self._tasks)

    def wake(self) -> None:
        """Has it look for turns that wait."""
        self._woken.set()

    async def _run(self) -> None:
        while not self._draining:
            try:
                await self._round()
            except Exception:
                logger.exception("turns wait; the next look is in %s s", TICK)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), TICK)
            self._woken.clear()

    async def _round(self) -> None:
        if time.monotonic() - self._swept > min(settings.GANDER.turn_lease_seconds / 3, _SWEEP_EVERY):
            self._swept = time.monotonic()
            await _in_thread(claims.expire)
        if self._running:
            # A hint may have been lost.
            await self._look_for_cancelling(*self._running.values())
        while not self._draining and self._held < settings.GANDER.turns_at_once:
            if self._run_class is None:
                if not await _in_thread(claims.any_wait):
                    return
                # The first turn brings in the agent's library. That takes a while, in which nothing is held up, and no
                # lease runs yet.
                self._run_class = await asyncio.to_thread(_run_class)
            turn = await _in_thread(claims.claim, self.name)
            if turn is None:
                return
            if self._draining:
                # It was taken while this began.
                await _in_thread(claims.release, turn)
                return
            self._held += 1
            self._soon(self._execute(turn))

    async def _execute(self, turn: Turn) -> None:
        try:
            await self._run_turn(turn)
        finally:
            self._held -= 1
            self.wake()

    async def _run_turn(self, turn: Turn) -> None:
        assert self._run_class is not None
        run = self._running[turn.pk] = self._run_class(turn, self.connections, self.writer)
        session_id = str(turn.session_id)

        def listen(kind: str) -> None:
            if kind == turns.CANCELLING:
                self._soon(self._look_for_cancelling(run))

        hubs().listen(session_id, listen)
        # It may have been cancelled since it was claimed, before anybody listened.
        self._soon(self._look_for_cancelling(run))
        try:
            with follow.published(turn.pk):
                await run.run()
        finally:
            hubs().unlisten(session_id, listen)
            # A turn that paused may be back already.
            if self._running.get(turn.pk) is run:
                del self._running[turn.pk]

    async def _look_for_cancelling(self, *runs: "Run") -> None:
        cancelling = await _in_thread(_cancelling, [run.turn.pk for run in runs])
        for run in runs:
            if run.turn.pk in cancelling:
                run.stop("cancelled")

    def _soon(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def begin_drain(self, seconds: float) -> None:
        """Takes no more turns, lets those that run end for a while, and then interrupts them."""
        if not self._draining:
            self._draining = True
            self.wake()
            self._soon(self._drain(seconds))

    async def _drain(self, seconds: float) -> None:
        until = time.monotonic() + max(seconds - _LAST_WORDS, 0)
        while not (self._loop.done() and not self._held) and time.monotonic() < until:
            await asyncio.sleep(0.05)
        for run in self._running.values():
            run.stop("interrupted")
        while self._held:
            await asyncio.sleep(0.02)
        await self.connections.close()

    async def drained(self, seconds: float) -> None:
        """Drains, and waits for it."""
        self.begin_drain(seconds)
        while self._tasks:
            await asyncio.sleep(0.02)


def _run_class() -> "type[Run]":
    from sessions_app.agent.loop import Run

    return Run


def _cancelling(some: list[uuid.UUID]) -> set[uuid.UUID]:
    return set(Turn.objects.filter(pk__in=some, cancelling=True).values_list("pk", flat=True))


_by_loop: "weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Executor]" = weakref.WeakKeyDictionary()


def executor() -> Executor:
    """The executor of the running event loop, begun where there is none yet."""
    loop = asyncio.get_running_loop()
    if loop not in _by_loop:
        _by_loop[loop] = Executor()
        executors.use(_by_loop[loop].wake)
    return _by_loop[loop]


_sweeps: "weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Task[None]]" = (
    weakref.WeakKeyDictionary()
)


def sweep() -> None:
    """Has the running event loop end turns whose lease ran out, where workers run them: the last one may be gone."""
    loop = asyncio.get_running_loop()
    if loop not in _sweeps:
        _sweeps[loop] = loop.create_task(_sweep())


async def _sweep() -> None:
    while True:
        await asyncio.sleep(_SWEEP_EVERY)
        try:
            await _in_thread(claims.expire)
        except Exception:
            logger.exception("turns of workers that are gone wait for the next look")


def running() -> Executor | None:
    """The executor of the running event loop, if one was begun."""
    return _by_loop.get(asyncio.get_running_loop())
