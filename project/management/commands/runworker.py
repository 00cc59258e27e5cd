"""``manage.py runworker agent-turns``: a process that runs agents and serves nothing."""

import asyncio
import logging
import signal
from typing import Any

from channels.management.commands import runworker
from channels.worker import Worker
from django.conf import settings
from django.core.management import CommandError

from project.request_pool import DRAIN_SECONDS
from sessions_app import hints
from sessions_app.agent.executor import executor
from sessions_app.agent.executors import CHANNEL
from sessions_app.live.hubs import hubs

logger = logging.getLogger(__name__)

_TRY_AGAIN_SECONDS = 1.0


class TurnWorker(Worker):  # type: ignore[misc]
    """Channels' worker around an executor of turns; what arrives on its channel only wakes that."""

    def run(self) -> None:
        """Runs turns until SIGINT or SIGTERM, and then lets those that run end."""
        asyncio.run(self.handle())

    async def handle(self) -> None:
        loop = asyncio.get_running_loop()
        hints.use_loop(loop)
        ended = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, ended.set)
        turns = executor()
        listeners = [asyncio.ensure_future(self.listener(channel)) for channel in self.channels]
        await ended.wait()
        for listener in listeners:
            listener.cancel()
        await turns.drained(DRAIN_SECONDS)
        hubs().stop()

    async def listener(self, channel: str) -> None:
        while True:
            try:
                await self.channel_layer.receive(channel)
                executor().wake()
            except Exception as error:
                logger.warning("the channel layer fails, turns are found by the tick: %s", error)
                await asyncio.sleep(_TRY_AGAIN_SECONDS)


class Command(runworker.Command):  # type: ignore[misc]
    help = "Runs agents' turns (agent-turns) until SIGINT or SIGTERM."
    worker_class = TurnWorker

    def handle(self, *args: Any, **options: Any) -> None:
        if options["channels"] != [CHANNEL]:
            raise CommandError(f"There is one channel to work on: {CHANNEL}")
        if not settings.GANDER.redis_url:
            raise CommandError("Workers are reached through Redis; set REDIS_URL")
        self.stdout.write(f"Gander runs {CHANNEL}")
        self.stdout.flush()
        super().handle(*args, **options)
        self.stdout.write("The worker has stopped.")
