"""The tools of one turn as pydantic-ai has them: which there are, which need their owner's word, what a call came to."""

import asyncio
import contextlib
from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from pydantic_ai.exceptions import ApprovalRequired
from pydantic_ai.tools import RunContext, ToolDefinition
from pydantic_ai.toolsets import AbstractToolset, ToolsetTool
from pydantic_core import SchemaValidator, core_schema

from extensions import files
from extensions.connections import Connection, Connections
from extensions.models import Kind
from extensions.runner import Launch, NotStarted
from extensions.tools import Outcome, Tool
from sessions_app.agent import history
from sessions_app.agent.models import Action, Mode
from sessions_app.agent.record import Record
from sessions_app.diffs import unified
from sessions_app.live.threads import Threads

_ARGUMENTS = SchemaValidator(core_schema.dict_schema(core_schema.str_schema(), core_schema.any_schema()))
_LONGEST_NAME = 64
# Of arguments that are no JSON.
_RETRIES = 5
# A search may take its time, which neither those who begin a turn nor those who write one shall wait for.
_in_thread = Threads(4, "files").run


class Desk(Protocol):
    """What the tools need of the turn that they are called in."""

    record: Record
    mode: Mode
    # What was said about tools once and for all, and about calls of this turn.
    always: dict[str, bool]
    decided: dict[str, Action]

    async def recorded(self, given: str) -> str:
        """Our own id of a call that is to be made, once it stands in the record."""

    def ask(self, call_id: str, tool: str) -> None:
        """Has the owner asked about a call."""

    async def prepared(self, launch: Launch) -> Launch:
        """Asks anew whether an extension may be started."""

    def written(self) -> None:
        """Something is to be written now."""


@dataclass(frozen=True, slots=True)
class _Offer:
    """A tool under the name that the model knows it by."""

    launch: Launch
    tool: Tool


class SessionTools(AbstractToolset[None]):
    """The tools of the extensions that are on."""

    def __init__(
        self, desk: Desk, launches: list[Launch], connections: Connections, owner: int, directory: str
    ) -> None:
        self.desk = desk
        self.launches = launches
        self.connections = connections
        self.owner = owner
        self.directory = directory
        # Why extensions are not there, in words for the model and for the session's owner.
        self.missing: list[str] = []
        self._offers: dict[str, _Offer] = {}

    @property
    def id(self) -> str:
        return "session"

    async def open(self) -> None:
        """Starts what does not run yet, and asks everything for its tools."""
        listed = await asyncio.gather(*(self._tools(launch) for launch in self.launches))
        for launch, tools in zip(self.launches, listed, strict=True):
            for tool in tools:
                name = history.name_of({"tool": f"{launch.name}__{tool.name}"})[:_LONGEST_NAME]
                self._offers.setdefault(name, _Offer(launch, tool))

    async def _tools(self, launch: Launch) -> list[Tool]:
        if launch.kind == Kind.BUILTIN:
            return [tool for tool in files.tools() if not launch.allowed or tool.name in launch.allowed]
        key = self._key(launch)
        try:
            if self.connections.running(key) is not None:
                # It may have died since its last call; then it is started anew.
                with contextlib.suppress(NotStarted):
                    return await self.connections.get(key, launch).tools()
            return await self.connections.get(key, launch).tools()
        except NotStarted as error:
            self.missing.append(f"The extension {launch.name} is not available: {error}")
            return []

    def _key(self, launch: Launch) -> Hashable:
        return self.owner, launch.name, launch.directory

    async def _connection(self, launch: Launch) -> Connection:
        """The running one; one that has ended is asked about again before it is started anew."""
        key = self._key(launch)
        if (running := self.connections.running(key)) is not None:
            return running
        return self.connections.get(key, await self.desk.prepared(launch))

    async def get_tools(self, ctx: RunContext[None]) -> dict[str, ToolsetTool[None]]:
        return {
            name: ToolsetTool(
                toolset=self,
                tool_def=ToolDefinition(
                    name=name,
                    description=offer.tool.description,
                    parameters_json_schema=offer.tool.schema,
                    # Two edits of one file must not overtake each other.
                    sequential=offer.launch.kind == Kind.BUILTIN and not offer.tool.read_only,
                ),
                max_retries=_RETRIES,
                args_validator=_ARGUMENTS,
            )
            for name, offer in self._offers.items()
        }

    async def call_tool(
        self, name: str, tool_args: dict[str, Any], ctx: RunContext[None], tool: ToolsetTool[None]
    ) -> str:
        desk = self.desk
        call_id = await desk.recorded(ctx.tool_call_id or "")
        part = desk.record.calls[call_id]
        # After a pause the model's last answer is gone through again; what was done stays done.
        if part["state"]["status"] in ("completed", "error"):
            return history.result_of(part)
        offer = self._offers[name]
        allowed, said = self._may(name, call_id, offer)
        if not allowed:
            why = "The user does not allow this call. Do not try it again; go on without it, or ask what to do instead."
            desk.record.result(call_id, why, failed=True, metadata={"approval": str(said)} if said else None)
            desk.written()
            return history.result_of(desk.record.calls[call_id])
        desk.record.running(call_id, str(said) if said else "")
        desk.written()
        outcome = await self._made(offer, tool_args)
        desk.record.result(
            call_id,
            outcome.text,
            failed=outcome.failed,
            title=str(tool_args.get("path", "")) if offer.launch.kind == Kind.BUILTIN else "",
            metadata=outcome.metadata if outcome.change is None else await _in_thread(_with_diff, outcome),
            change=outcome.change,
        )
        desk.written()
        return history.result_of(desk.record.calls[call_id])

    def _may(self, name: str, call_id: str, offer: _Offer) -> tuple[bool, Action | None]:
        """Whether the call may be made, and what a person has said of it."""
        if (said := self.desk.decided.get(call_id)) is not None:
            return said.allows, said
        if name in self.desk.always:
            return self.desk.always[name], None
        if self.desk.mode == Mode.AUTO or offer.tool.read_only:
            return True, None
        self.desk.ask(call_id, name)
        raise ApprovalRequired

    async def _made(self, offer: _Offer, arguments: dict[str, Any]) -> Outcome:
        if offer.launch.kind == Kind.BUILTIN:
            return await _in_thread(files.call, Path(self.directory), offer.tool.name, arguments)
        try:
            connection = await self._connection(offer.launch)
        except NotStarted as error:
            return Outcome(
                f"The extension {offer.launch.name} may not be used any more: {error}", failed=True
            )
        return await connection.call(offer.tool.name, arguments)


def _with_diff(outcome: Outcome) -> dict[str, Any]:
    assert outcome.change is not None
    file, before, after = outcome.change
    return {**outcome.metadata, "diff": unified(file, before, after)}
