"""What a part says, as plain text: for finding words in it."""

from collections.abc import Iterator
from typing import Any

from sessions_app.render.ansi import stripped
from sessions_app.render.errors import error_of
from sessions_app.render.tool import Tool, pretty, txt


def texts(data: dict[str, Any], directory: str) -> Iterator[str]:
    """Every text of a part that its reader can see; ``data`` is the part as that reader gets it."""
    match data.get("type"):
        case "tool":
            tool = Tool(data, directory)
            yield from (tool.name, tool.object, tool.pretty_input, stripped(tool.output), tool.error)
        case "text" | "reasoning":
            yield txt(data.get("text"))
        case "file" | "agent":
            yield txt(data.get("filename")) or txt(data.get("name"))
        case "retry":
            yield from error(data.get("error"))
        case "step-start" | "step-finish" | "snapshot":
            return
        case _:
            yield pretty(data)


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
