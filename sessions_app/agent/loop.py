"""One turn from its claim to its end: the model is asked, its tools are called, everything is recorded on the way.

This module brings in pydantic-ai, and by its model the provider's library; it is imported by the first turn that runs.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, cast

from django.conf import settings
from django.core.exceptions import ObjectDoesNotExist
from django.db import InterfaceError, OperationalError
from pydantic_ai import Agent, DeferredToolRequests
from pydantic_ai.exceptions import UsageLimitExceeded
from pydantic_ai.messages import (
    FunctionToolCallEvent,
    FunctionToolResultEvent,
    ModelResponse,
    PartDeltaEvent,
    PartEndEvent,
    PartStartEvent,
    TextPart,
    TextPartDelta,
    ThinkingPart,
    ThinkingPartDelta,
    ToolCallPart,
)
from pydantic_ai.usage import UsageLimits

from extensions.connections import Connections
from extensions.runner import Launch
from sessions_app.agent import desk, follow, history, providers
from sessions_app.agent.desk import LostLease, Papers
from sessions_app.agent.models import Action, Mode, State, Turn
from sessions_app.agent.record import Record
from sessions_app.agent.toolset import SessionTools
from sessions_app.agent.writer import Writer
from sessions_app.live.threads import Threads

logger = logging.getLogger(__name__)

# Text that is being written reaches the store a few times a second; what else happens, at once.
TEXT_INTERVAL = 0.1
in_thread = Threads(2, "agent").run
# What a turn begins with may have to wait for an allowlist, while other turns' last words are written.
_reading = Threads(2, "papers").run
# Files that a turn changed are compared between two renewals of its lease, which wait for nobody who begins a turn.
_comparing = Threads(1, "comparing").run
# How often in a row a model may call what is no tool before its turn fails.
_RETRIES = 5
_TRY_AGAIN_SECONDS = 0.5

_INSTRUCTIONS = """You are an agent that works for a person on Gander, where their team reads along.
The session's directory is {directory}; paths given to the files tools are relative to it. Today is {today}.
Say briefly what you do and what came of it. Never invent what a tool would have said."""


class Run:
    """A claimed turn while this process runs it."""

    def __init__(self, turn: Turn, connections: Connections, writer: Writer) -> None:
        self.turn = turn
        self.connections = connections
        self.writer = writer
        self.mode = Mode(turn.mode)
        self.record = Record(turn)
        self.always: dict[str, bool] = {}
        self.decided: dict[str, Action] = {}
        self._papers: Papers | None = None
        self._result: Any = None
        self._dirty = asyncio.Event()
        self._urgent = asyncio.Event()
        # Set whenever the stream of events has come to a further call.
        self._further_call = asyncio.Event()
        # Calls of this run that were begun, by our own ids, and answers that were counted.
        self._begun: set[str] = set()
        self._counted = 0
        # Calls that are being made: meanwhile the provider has nothing to say.
        self._making: set[str] = set()
        self._ended_by = ""
        self._over = False
        self._work: asyncio.Task[None] | None = None

    def stop(self, reason: str) -> None:
        """Ends the turn before the agent is done; ``cancelled`` or ``interrupted``."""
        if not self._ended_by:
            self._ended_by = reason
            if self._work is not None:
                self._work.cancel()

    async def run(self) -> None:
        """Runs the turn to its end, or to a pause; whatever happens is written, none of it is raised."""
        self._work = asyncio.ensure_future(self._agent())
        writing = asyncio.ensure_future(self._keep_writing())
        if self._ended_by:
            self._work.cancel()
        try:
            await asyncio.wait({self._work, writing}, return_when=asyncio.FIRST_COMPLETED)
            if writing.done():
                # It only ends by failing: the turn is another's by now, or was deleted with its session.
                self._work.cancel()
            await asyncio.wait({self._work})
            self._over = True
            self.written()
            await writing
            await self._end()
        except (LostLease, ObjectDoesNotExist):
            logger.info("turn %s goes on elsewhere or has ended", self.turn.pk)
        except Exception:
            logger.exception("turn %s could not be ended; its lease will", self.turn.pk)
        finally:
            self._work.cancel()

    # What the tools ask of the turn.

    async def recorded(self, given: str) -> str:
        """Waits until the stream of events has come to the call, and not only to an earlier one of the same id."""
        while not (call_id := self.record.name_of_call(given)) or call_id in self._begun:
            self._further_call.clear()
            await self._further_call.wait()
        self._begun.add(call_id)
        return call_id

    def ask(self, call_id: str, tool: str) -> None:
        """Has the owner asked about a call."""
        self.record.ask(call_id, tool)
        self.written()

    async def prepared(self, launch: Launch) -> Launch:
        """Asks anew whether an extension may be started.

        Raises:
            NotStarted: it may not, by now.
        """
        return await _reading(desk.prepared, self.turn, launch)

    def written(self) -> None:
        """Something is to be written now."""
        self._dirty.set()
        self._urgent.set()

    # The agent.

    async def _agent(self) -> None:
        papers = self._papers = await _reading(desk.read, self.turn)
        self.always, self.decided = papers.always, papers.decided
        self.record = Record(
            self.turn,
            papers.number,
            papers.calls,
            {file: (before, after) for file, (before, after) in (self.turn.files or {}).items()},
        )
        if papers.choice is None:
            raise papers.refused or LookupError("no model")
        # Imports a provider's library the first time, which takes a second or more.
        model = await _reading(providers.model_of, papers.choice)
        # Of a long session it takes a while, and the rows are not needed any more.
        messages = await _reading(history.of, papers.messages, papers.choice.provider, papers.goes_on)
        papers.messages = []
        directory = self.turn.session.directory
        tools = SessionTools(
            self, papers.launches, self.connections, self.turn.session.owner_id or 0, directory
        )
        await tools.open()
        missing = [*papers.missing, *tools.missing]
        await _reading(desk.note_missing, self.turn, missing)
        agent = Agent(
            model,
            output_type=[str, DeferredToolRequests],
            instructions=[_instructions(directory), *missing],
            toolsets=[tools],
            retries={"tools": _RETRIES, "output": 0},
        )
        gander = settings.GANDER
        used: dict[str, Any] = self.turn.usage
        asked = agent.iter(
            message_history=messages,
            model_settings={"timeout": gander.api_timeout, "max_retries": gander.max_retries},
            # A turn that goes on after a pause has used some of its own already.
            usage_limits=UsageLimits(request_limit=max(gander.turn_requests - used.get("requests", 0), 0)),
        )
        try:
            async with asyncio.timeout(None) as silence, asked as run:
                try:
                    await self._follow(run, silence)
                finally:
                    self._count(run)
        except TimeoutError:
            if silence.expired():
                raise providers.Stalled from None
            raise
        self._result = run.result

    async def _follow(self, run: Any, silence: asyncio.Timeout) -> None:
        """Takes the events of every step of the run, as long as the provider is not silent for too long.

        Heartbeats of its connection do not count, and while tools are called it has nothing to say.
        """
        clock = asyncio.get_running_loop().time
        async for node in run:
            silence.reschedule(clock() + settings.GANDER.api_timeout)
            self._check_tokens()
            if not (Agent.is_model_request_node(node) or Agent.is_call_tools_node(node)):
                continue
            async with cast(Any, node).stream(run.ctx) as events:
                async for event in events:
                    self._take(event, run)
                    silence.reschedule(None if self._making else clock() + settings.GANDER.api_timeout)
        self._end_answer(run, "tool-calls" if _paused(run.result) else "stop")

    def _check_tokens(self) -> None:
        """The library would ask at every word, and read the whole answer for it; providers count at an answer's end.

        Raises:
            UsageLimitExceeded: the turn has used more than it may.
        """
        used, most = self.turn.usage.get("total_tokens", 0), settings.GANDER.turn_tokens
        if used > most:
            raise UsageLimitExceeded(f"{used:,} tokens were used of {most:,}.")

    def _take(self, event: Any, run: Any) -> None:
        match event:
            case PartStartEvent(part=TextPart(content=text)):
                self._write("text", text)
            case PartStartEvent(part=ThinkingPart() as part):
                self._write("reasoning", part.content)
            case PartDeltaEvent(delta=TextPartDelta(content_delta=text)):
                self._write("text", text)
            case PartDeltaEvent(delta=ThinkingPartDelta(content_delta=text)):
                self._write("reasoning", text or "")
            case PartEndEvent(part=ThinkingPart() as part) if part.signature:
                signed = {
                    "signature": part.signature,
                    "id": part.id or "",
                    "provider": part.provider_name or "",
                }
                self.record.write("reasoning", "", **signed)
            case PartEndEvent(part=ToolCallPart() as part):
                self._called(part)
            case FunctionToolCallEvent(part=part):
                if not self.record.name_of_call(part.tool_call_id):
                    self._called(part)
                self._end_answer(run, "tool-calls")
                self._making.add(part.tool_call_id)
            case FunctionToolResultEvent():
                self._making.discard(event.part.tool_call_id)
                self._unknown_tool(event.part)

    def _write(self, kind: str, text: str) -> None:
        self.record.write(kind, text)
        self._dirty.set()

    def _called(self, part: ToolCallPart) -> None:
        try:
            arguments = part.args_as_dict()
        except (ValueError, AssertionError):
            arguments = {"arguments": str(part.args)}
        self.record.call(part.tool_call_id, part.tool_name, arguments)
        self._further_call.set()
        self.written()

    def _unknown_tool(self, part: Any) -> None:
        """A call that never came to a tool, as its name or its arguments were none, has a result all the same."""
        call_id = self.record.name_of_call(part.tool_call_id)
        if call_id and self.record.calls[call_id]["state"]["status"] == "pending":
            self.record.result(call_id, _said(part), failed=True)
            self.written()

    def _end_answer(self, run: Any, finish: str) -> None:
        if not self.record.answering:
            return
        response = next(
            (each for each in reversed(run.all_messages()) if isinstance(each, ModelResponse)), None
        )
        if response is not None:
            self.record.end_answer(finish, providers.tokens_of(response.usage), providers.cost_of(response))
            self._count(run)
            self.written()

    def _count(self, run: Any) -> None:
        """Adds up what the model's answers used, those included that made no sense."""
        answers = [each for each in run.new_messages() if isinstance(each, ModelResponse)]
        counted: dict[str, Any] = self.turn.usage
        for answer in answers[self._counted :]:
            counted["input_tokens"] = counted.get("input_tokens", 0) + (answer.usage.input_tokens or 0)
            counted["output_tokens"] = counted.get("output_tokens", 0) + (answer.usage.output_tokens or 0)
            counted["total_tokens"] = counted["input_tokens"] + counted["output_tokens"]
            counted["requests"] = counted.get("requests", 0) + 1
            counted["cost"] = round(counted.get("cost", 0.0) + providers.cost_of(answer), 9)
        self._counted = len(answers)

    # Writing.

    async def _keep_writing(self) -> None:
        """Writes what has come, until the agent is done; a lease is renewed also when nothing comes."""
        renew = settings.GANDER.turn_lease_seconds / 3
        last = 0.0
        while not self._over:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._dirty.wait(), renew)
            self._dirty.clear()
            if not self._urgent.is_set() and (left := last + TEXT_INTERVAL - time.monotonic()) > 0:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._urgent.wait(), left)
            self._urgent.clear()
            last = time.monotonic()
            if not self._over:
                batch = self.record.take()
                # What a turn changed is told while it goes on: nobody else could, were it to end here.
                if self.record.files_changed and batch.grown is None and self._papers is not None:
                    files = await _comparing(self.record.changed_files)
                    batch.changes.extend(desk.noted_files(self._papers.prompt, files))
                if await self.writer.write(self.turn, batch):
                    self.stop("cancelled")
                follow.publish(self.turn.pk, batch)

    async def _end(self) -> None:
        assert self._work is not None
        error = None if self._work.cancelled() else self._work.exception()
        turn, record = self.turn, self.record
        if self._papers is None and await in_thread(desk.has_begun, turn):
            await self._abandon(error)
            return
        if self._ended_by:
            record.stop(self._stopped())
        elif error is not None:
            self._fail(error)
        elif self._result is not None and _paused(self._result):
            papers = self._papers
            assert papers is not None
            batch = record.take()
            await _insist(desk.pause, turn, batch, record, papers.prompt)
            follow.publish(turn.pk, batch)
            return
        else:
            turn.state, turn.stop_reason = State.DONE, "end_turn"
        record.complete()
        prompt = self._papers.prompt if self._papers else {}
        batch = record.take()
        await _insist(desk.finish, turn, batch, record, prompt)
        follow.publish(turn.pk, batch)

    def _stopped(self) -> str:
        """Sets the state of a turn that was ended from outside; why, in words."""
        cancelled = self._ended_by == "cancelled"
        self.turn.state = State.CANCELLED if cancelled else State.INTERRUPTED
        self.turn.stop_reason = self._ended_by
        return "Cancelled." if cancelled else "Interrupted: the server was stopped."

    async def _abandon(self, error: BaseException | None) -> None:
        """Ends a turn that goes on after a pause, before it is known how far it had come."""
        code = ""
        if self._ended_by or error is None:
            why = self._stopped()
        else:
            self.turn.state, self.turn.stop_reason = State.FAILED, "error"
            logger.error("turn %s could not be taken up again", self.turn.pk, exc_info=error)
            trouble = providers.refused(error)
            why, code = trouble.message, trouble.code
        await _insist(desk.abandon, self.turn, why, code)

    def _fail(self, error: BaseException) -> None:
        self.turn.state, self.turn.stop_reason = State.FAILED, "error"
        choice = self._papers.choice if self._papers else None
        trouble = providers.explained(error, choice) if choice else providers.refused(error)
        if trouble.code == "failed":
            logger.error("turn %s failed", self.turn.pk, exc_info=error)
        else:
            logger.info("turn %s failed: %s", self.turn.pk, trouble.code)
        self.record.fail(trouble.name, trouble.code, trouble.message, trouble.status)


async def _insist(work: Callable[..., None], *arguments: Any) -> None:
    """Has the last of a turn written, also where the database is away for a moment."""
    until = time.monotonic() + settings.GANDER.turn_lease_seconds
    while True:
        try:
            await in_thread(work, *arguments)
            return
        except (OperationalError, InterfaceError):
            if time.monotonic() > until:
                raise
            await asyncio.sleep(_TRY_AGAIN_SECONDS)


def _paused(result: Any) -> bool:
    return isinstance(result.output, DeferredToolRequests)


def _said(part: Any) -> str:
    """What pydantic-ai tells the model of a call that it could not make."""
    if hasattr(part, "model_response_str"):
        return str(part.model_response_str(wrap_if_error=False))
    return str(part.model_response())


def _instructions(directory: str) -> str:
    return _INSTRUCTIONS.format(directory=directory, today=f"{datetime.now(UTC):%Y-%m-%d}")
