"""What a part says, as plain text: for finding words in it."""

from collections.abc import Iterator
from typing import Any

from sessions_app.render.ansi import stripped
from sessions_app.render.errors import error_of
from sessions_app.render.markdown import text_of
from sessions_app.render.tool import Tool, patched_files, pretty, txt


def texts(data: dict[str, Any], directory: str, role: str) -> Iterator[str]:
    """Every text of a part that its reader can see; ``data`` is the part as that reader gets it.

    Args:
        role: of the message, which decides how its text reads.
    """
    match data.get("type"):
        case "tool":
            yield from _tool(Tool(data, directory))
        case "text" | "reasoning":
            said = txt(data.get("text"))
            yield stripped(said) if data.get("synthetic") else said if role == "user" else text_of(said)
        case "file" | "agent":
            yield txt(data.get("filename")) or txt(data.get("name"))
        case "retry":
            yield from error(data.get("error"))
        case "patch":
            yield from patched_files(data, directory)
        case "subtask":
            yield from (
                txt(data.get("description")),
                txt(data.get("agent")),
                stripped(txt(data.get("prompt"))),
            )
        case "step-start" | "step-finish" | "snapshot" | "compaction":
            return
        case _:
            yield pretty(data)


def _tool(tool: Tool) -> Iterator[str]:
    """What stands on a call's card, each thing once."""
    yield tool.shown_name
    title = txt(tool.state.get("title"))
    if title not in (tool.object, tool.command):
        yield title
    given, output = tool.input, stripped(tool.output)
    match tool.kind:
        case "bash":
            yield from (tool.command, output)
        case "write":
            yield tool.file
            if tool.replaced:
                yield from (_seen(patch) for _, patch in tool.patches)
            else:
                yield tool.written
        case "edit" | "patch":
            changed = tool.patches or tool.wanted_patches
            yield from ((tool.object,) if changed else (tool.object, tool.pretty_input))
            for file, patch in changed:
                yield from (() if file == tool.object else (file,))
                yield _seen(patch)
            yield "" if tool.patches else output
        case "search":
            yield from (tool.object, txt(given.get("include")) or txt(given.get("names")), output)
        case "todo":
            yield tool.object
            yield from (todo["content"] for todo in tool.todos)
        case "task":
            yield from (tool.object, txt(given.get("subagent_type")))
            yield from (stripped(txt(given.get("prompt"))), text_of(tool.output))
        case "question":
            for entry in tool.questions:
                yield from entry.values()
            yield output
        case "skill":
            yield from (tool.object, text_of(tool.output))
        case "batch":
            yield tool.object
            for call in tool.calls:
                yield from (call.shown_name, call.object, call.pretty_input)
            yield output
        case "generic":
            yield from (tool.object, tool.pretty_input, output)
        case _:
            yield from (tool.object, output)
    yield from (*tool.diagnostics, stripped(tool.error))
    yield from (txt(file.get("filename")) for file in tool.attachments)


def _seen(patch: str) -> str:
    """The lines of a patch without its head and their signs."""
    _, hunk, body = patch.partition("@@ ")
    lines = (hunk + body).split("\n")
    return "\n".join(line[1:] for line in lines if not line.startswith("@@ "))


def error(data: object) -> Iterator[str]:
    """What an error's card says."""
    if shown := error_of(data):
        yield from (shown["name"], shown["message"])


def place(data: dict[str, Any]) -> str:
    """What kind of thing a part is, in a word; nothing for plain text."""
    match data.get("type"):
        case "tool":
            return Tool(data).verb
        case "text":
            return ""
        case "reasoning":
            return "Reasoning"
        case kind:
            return txt(kind)
