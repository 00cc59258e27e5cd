"""Starting extensions and speaking MCP with them. The MCP library is imported when the first one is started."""

import asyncio
import contextlib
import importlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO, cast

from extensions import files, policy
from extensions.complaints import Complaints
from extensions.models import Extension, Kind
from extensions.secrets import Unreadable
from extensions.tools import LARGEST, Tool

START_SECONDS = 30.0
_LONGEST_COMPLAINT = 2000
# Bytes: the longest result that is taken, however much of it is escaped.
_LARGEST_EVENT = 16 * LARGEST
_SUPERVISOR = str(Path(__file__).parent / "supervisor.py")


class NotStarted(Exception):
    """An extension could not be started or does not speak MCP; the message is for whoever asked for it."""


@dataclass(frozen=True, slots=True)
class Launch:
    """All that starting an extension takes, looked up beforehand: whoever starts it reads no database."""

    name: str
    kind: str
    command: str
    arguments: tuple[str, ...]
    url: str
    timeout: float
    allowed: frozenset[str]
    environment: dict[str, str] = field(repr=False)
    headers: dict[str, str] = field(repr=False)
    # Values that nobody is told, whatever the extension says.
    secrets: tuple[str, ...] = field(default=(), repr=False)
    directory: str | None = None
    # The catalogue's entry that it was made from, by what runs.
    program: tuple[object, ...] = ()

    def discreet(self, text: str) -> str:
        """The text without any of the extension's secret values."""
        for secret in self.secrets:
            text = text.replace(secret, "•••")
        return text


def prepare(extension: Extension, user: Any, directory: str | None = None) -> Launch:
    """Asks the allowlist, and opens the secrets. Reads the database.

    Raises:
        NotStarted: it may not run, or its secrets cannot be read.
    """
    decision = policy.check(extension, user, "starting")
    if not decision.allowed:
        raise NotStarted(decision.reason)
    try:
        secret_environment = extension.secret_values("environment")
        secret_headers = extension.secret_values("header")
    except Unreadable as error:
        raise NotStarted(f"It cannot be started: {error}.") from None
    return Launch(
        name=extension.name,
        kind=extension.kind,
        command=extension.command,
        arguments=tuple(map(str, extension.arguments)),
        url=extension.url,
        timeout=float(extension.timeout),
        allowed=frozenset(map(str, extension.tools)),
        environment={**_texts(extension.environment), **secret_environment},
        headers={**_texts(extension.headers), **secret_headers},
        secrets=_forms([*secret_environment.values(), *secret_headers.values()]),
        directory=directory if extension.in_directory else None,
        program=extension.program,
    )


def tools_of(extension: Extension, user: Any) -> list[Tool]:
    """Starts an extension, asks for its tools, and ends it again. Blocks for up to ``START_SECONDS``.

    Raises:
        NotStarted: the allowlist refuses it, it does not start, or it does not answer; says which.
    """
    launch = prepare(extension, user)
    if launch.kind == Kind.BUILTIN:
        return files.tools()
    # On a thread of its own: the caller's may have an event loop.
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(_tools(launch))).result()


def _forms(secrets: list[str]) -> tuple[str, ...]:
    """What of the secret values may be told again: whole, as JSON writes them, a line, a header's value without its scheme.

    The longest come first, as others are within them.
    """
    found: set[str] = set()
    for value in secrets:
        # What is shorter would be found by chance.
        found |= {form for form in (value, value.strip(), json.dumps(value)[1:-1]) if len(form) > 3}
        found |= {piece for piece in (*value.splitlines(), value.split(" ")[-1].strip()) if len(piece) >= 8}
    return tuple(sorted(found, key=lambda form: (-len(form), form)))


def _texts(values: dict[str, Any]) -> dict[str, str]:
    return {str(name): str(value) for name, value in values.items()}


async def _tools(launch: Launch) -> list[Tool]:
    async with started(launch) as client:
        return await listed(client, launch)


@contextlib.asynccontextmanager
async def started(launch: Launch) -> AsyncIterator[Any]:
    """A connection to a freshly started extension, for as long as the block runs.

    Raises:
        NotStarted: it does not start or does not speak MCP; says what it complained of.
    """
    # Imports take a second or more, which holds up nobody else.
    await asyncio.to_thread(_import_library)
    complaints = Complaints()
    with contextlib.closing(complaints), tempfile.TemporaryDirectory(prefix="gander-extension-") as empty:
        connecting = _connected(launch, complaints, launch.directory or empty)
        try:
            async with asyncio.timeout(START_SECONDS):
                client = await connecting.__aenter__()
        except Exception as error:
            raise await _not_started(launch, complaints, error) from None
        complaints.close()
        client.complaints = complaints
        try:
            yield client
        finally:
            await connecting.__aexit__(None, None, None)


async def listed(client: Any, launch: Launch) -> list[Tool]:
    """The tools that it offers and that the catalogue allows.

    Raises:
        NotStarted: it does not answer.
    """
    found: list[Any] = []
    try:
        async with asyncio.timeout(START_SECONDS):
            page = await client.list_tools()
            found += page.tools
            while page.next_cursor and len(found) < 1000:
                page = await client.list_tools(cursor=page.next_cursor)
                found += page.tools
    except Exception as error:
        raise await _not_started(launch, client.complaints, error) from None
    return [
        Tool(
            tool.name,
            tool.description or "",
            bool(tool.annotations and tool.annotations.read_only_hint),
            tool.input_schema,
        )
        for tool in found
        if not launch.allowed or tool.name in launch.allowed
    ]


def _import_library() -> None:
    for name in ("mcp", "mcp.client.stdio", "mcp.client.streamable_http", "httpx2"):
        importlib.import_module(name)


@contextlib.asynccontextmanager
async def _connected(launch: Launch, complaints: Complaints, directory: str) -> AsyncIterator[Any]:
    from mcp import Client, StdioServerParameters
    from mcp.client.stdio import stdio_client

    if launch.kind == Kind.STDIO:
        command, arguments = _ending_with_server([launch.command, *launch.arguments])
        parameters = StdioServerParameters(
            command=command,
            args=arguments,
            env=launch.environment,
            cwd=Path(directory),
        )
        # What only needs to have a descriptor is called a text file there.
        async with Client(stdio_client(parameters, errlog=cast(TextIO, complaints))) as client:
            yield client
        return
    import httpx2
    from mcp.client.streamable_http import streamable_http_client

    async with (
        httpx2.AsyncClient(headers=launch.headers, timeout=max(launch.timeout, START_SECONDS)) as http,
        Client(
            streamable_http_client(launch.url, http_client=http, max_sse_event_size=_LARGEST_EVENT)
        ) as client,
    ):
        yield client


def _ending_with_server(command: list[str]) -> tuple[str, list[str]]:
    """The command, to be run so that it does not outlive this process; elsewhere than on Linux, as it is."""
    if not sys.platform.startswith("linux") or shutil.which(command[0]) is None:
        return command[0], command[1:]
    return sys.executable, ["-I", "-S", _SUPERVISOR, str(os.getpid()), *command]


def root_cause(launch: Launch, error: BaseException) -> str:
    """The first cause inside groups of exceptions, as a sentence."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return launch.discreet(f"{type(error).__name__}: {error}".strip(": "))[:500]


async def _not_started(launch: Launch, complaints: Complaints, error: Exception) -> NotStarted:
    """What an error at its start means, with what the process complained of; to read that may take a moment."""
    complained = await asyncio.to_thread(said, launch, complaints)
    if isinstance(error, TimeoutError):
        return NotStarted(f"It did not answer within {START_SECONDS:.0f} seconds.{complained}")
    return NotStarted(f"It could not be started: {root_cause(launch, error)}.{complained}")


def said(launch: Launch, complaints: Complaints) -> str:
    """The last that the process printed to its standard error."""
    # A secret that is cut in two is none any more.
    text = launch.discreet(complaints.text()).strip()[-_LONGEST_COMPLAINT:]
    return f" It said: {text}" if text else ""
