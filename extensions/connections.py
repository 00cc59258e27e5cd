"""Extensions that run: started at the first call that needs them, shared by one person's turns, ended when idle."""

import asyncio
import contextlib
import json
import logging
import re
import time
from collections.abc import Hashable
from dataclasses import replace
from typing import Any

from extensions import runner
from extensions.models import Kind
from extensions.runner import Launch, NotStarted
from extensions.tools import Outcome, Tool, bounded

logger = logging.getLogger(__name__)

# Seconds after its last call.
IDLE_SECONDS = 300.0
# So the library says that a result is not of the form that the tool had announced; the call was made all the same.
_MISFIT = re.compile(r"structured content|output schema|Invalid schema for tool")


class Connection:
    """One running extension. The library wants it opened and closed by one task, so it has one of its own."""

    def __init__(self, launch: Launch) -> None:
        self.launch = launch
        self.used = time.monotonic()
        self.calls = 0
        self._client: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        # Whoever waits for it may have gone by the time that it fails.
        self._client.add_done_callback(lambda future: future.cancelled() or future.exception())
        self._ending = asyncio.Event()
        self._task = asyncio.ensure_future(self._run())

    @property
    def alive(self) -> bool:
        return not self._ending.is_set() and not self._task.done()

    async def _run(self) -> None:
        try:
            async with runner.started(self.launch) as client:
                if not self._client.done():
                    self._client.set_result(client)
                await self._ending.wait()
        except NotStarted as error:
            if not self._client.done():
                self._client.set_exception(error)
        except Exception as error:
            logger.info("extension %s ended: %s", self.launch.name, runner.root_cause(self.launch, error))
        finally:
            # Whoever waits for it need not wait any more, whatever ended it.
            if not self._client.done():
                self._client.set_exception(NotStarted("It ended before it had started."))

    async def tools(self) -> list[Tool]:
        """What it offers.

        Raises:
            NotStarted: it does not start or does not answer.
        """
        client = await asyncio.shield(self._client)
        try:
            return await runner.listed(client, self.launch)
        except NotStarted:
            self.end()
            raise

    async def call(self, name: str, arguments: dict[str, Any]) -> Outcome:
        """Calls a tool; whatever goes wrong is an outcome that the model can read."""
        self.calls += 1
        try:
            client = await asyncio.shield(self._client)
            async with asyncio.timeout(self.launch.timeout):
                outcome = _outcome(await client.call_tool(name, arguments))
                return bounded(replace(outcome, text=self.launch.discreet(outcome.text)))
        except NotStarted as error:
            return Outcome(f"The extension {self.launch.name} is not available: {error}", failed=True)
        except TimeoutError:
            self.end()
            return Outcome(
                f"The extension {self.launch.name} did not answer within {self.launch.timeout:.0f} seconds. "
                "It is started anew at the next call.",
                failed=True,
            )
        except Exception as error:
            cause = runner.root_cause(self.launch, error)
            if isinstance(error, RuntimeError) and _MISFIT.search(str(error)):
                return Outcome(
                    f"The extension {self.launch.name} has made the call, and answered in another form than it had "
                    f"announced: {cause}.",
                    failed=True,
                )
            if _is_answer(error, self.launch):
                return Outcome(f"The extension {self.launch.name} refused the call: {cause}.", failed=True)
            self.end()
            return Outcome(
                f"The extension {self.launch.name} failed: {cause}. It is started anew at the next call.",
                failed=True,
            )
        finally:
            self.calls -= 1
            self.used = time.monotonic()

    def end(self) -> None:
        """Has it ended soon."""
        self._ending.set()

    async def ended(self) -> None:
        """Ends it, and waits until it has."""
        self.end()
        if not self._client.done():
            self._task.cancel()
        with contextlib.suppress(BaseException):
            await self._task


def _is_answer(error: Exception, launch: Launch) -> bool:
    """Whether the extension itself answered with an error, and goes on."""
    from mcp.shared.exceptions import MCPError
    from mcp.types import CONNECTION_CLOSED, INVALID_REQUEST

    if not isinstance(error, MCPError) or error.error.code == CONNECTION_CLOSED:
        return False
    # So a server over HTTP that was started anew answers for a session that it does not know any more.
    return launch.kind != Kind.HTTP or error.error.code != INVALID_REQUEST


def _outcome(result: Any) -> Outcome:
    """MCP's result as text; what is no text is named."""
    pieces: list[str] = []
    for block in result.content:
        match block.type:
            case "text":
                pieces.append(block.text)
            case "resource":
                pieces.append(getattr(block.resource, "text", None) or f"[{block.resource.uri}]")
            case "resource_link":
                pieces.append(f"[{block.name}: {block.uri}]")
            case kind:
                pieces.append(f"[{kind}, {getattr(block, 'mime_type', '') or 'unknown type'}]")
    if not pieces and result.structured_content is not None:
        pieces.append(json.dumps(result.structured_content, ensure_ascii=False, indent=2))
    return Outcome("\n".join(pieces), failed=bool(result.is_error))


class Connections:
    """The running extensions of one event loop, by whom they run for and as what."""

    def __init__(self) -> None:
        self._running: dict[Hashable, Connection] = {}
        self._reaper: asyncio.Task[None] | None = None

    def running(self, key: Hashable) -> Connection | None:
        """The one that runs, if one does."""
        running = self._running.get(key)
        return running if running is not None and running.alive else None

    def get(self, key: Hashable, launch: Launch) -> Connection:
        """The one that runs already, or a new one where there is none, it has ended, or its entry was changed."""
        if self._reaper is None or self._reaper.done():
            self._reaper = asyncio.ensure_future(self._reap())
        running = self._running.get(key)
        if running is not None and running.alive and running.launch == launch:
            running.used = time.monotonic()
            return running
        if running is not None:
            running.end()
        self._running[key] = Connection(launch)
        return self._running[key]

    async def _reap(self) -> None:
        while self._running:
            await asyncio.sleep(min(IDLE_SECONDS / 4, 10))
            for key, running in list(self._running.items()):
                idle = running.calls == 0 and time.monotonic() - running.used > IDLE_SECONDS
                if idle or not running.alive:
                    running.end()
                    del self._running[key]

    async def close(self) -> None:
        """Ends them all."""
        running, self._running = list(self._running.values()), {}
        if self._reaper is not None:
            self._reaper.cancel()
        await asyncio.gather(*(each.ended() for each in running))
