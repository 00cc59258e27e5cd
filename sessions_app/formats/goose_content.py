"""Entries of goose's messages (``text``, ``toolRequest``, ``toolResponse`` …) as parts, and token counts as ours."""

from dataclasses import dataclass
from typing import Any

from sessions_app.changes import MOST_TOKENS
from sessions_app.diffs import count
from sessions_app.render.files import MIME
from sessions_app.render.tool import obj, pretty, txt
from sessions_app.text import storable


def part(entry: dict[str, Any], at: int, *, hidden: bool) -> dict[str, Any]:
    """What a part holds beside its ids; of an entry that we do not know, or cannot read, the entry as it is.

    Args:
        at: when the message was made, in milliseconds.
        hidden: whether goose shows the message to the agent alone.
    """
    found: dict[str, Any] | None = None
    match entry["type"]:
        case "text":
            found = _text(entry, hidden)
        case "thinking" | "reasoning":
            text = entry.get("thinking", entry.get("text"))
            if isinstance(text, str):
                found = {"type": "reasoning", "text": text, "time": {"start": at, "end": at}}
        case "image":
            found = _file(entry)
        case "toolRequest" | "frontendToolRequest":
            found = _call(entry, at)
    return found or {"type": f"goose-{storable(entry['type'])[:40]}", "content": entry}


def state_after(state: dict[str, Any], response: dict[str, Any], started: int, ended: int) -> dict[str, Any]:
    """The state of a call that has its ``toolResponse``; times are in milliseconds.

    ``attachments`` are files without ids.
    """
    result = obj(response.get("toolResult"))
    said = _said(result)
    found: dict[str, Any] = {
        "status": "error" if said.failed else "completed",
        "input": state["input"],
        "metadata": _metadata(obj(result.get("value")).get("structuredContent")),
        "time": {"start": started, "end": ended},
        "attachments": said.files,
    }
    return {**found, "error": said.text} if said.failed else {**found, "output": said.text, "title": ""}


def tokens(given: object, made: object, read: object, written: object) -> dict[str, Any]:
    """Tokens as opencode counts them; goose's input includes what the cache served and took."""
    read, written = count(read, MOST_TOKENS), count(written, MOST_TOKENS)
    given = count(given, MOST_TOKENS)
    given = given - read - written if given >= read + written else given
    cache = {"read": read, "write": written}
    return {"input": given, "output": count(made, MOST_TOKENS), "reasoning": 0, "cache": cache}


def _text(entry: dict[str, Any], hidden: bool) -> dict[str, Any] | None:
    if not isinstance(entry.get("text"), str):
        return None
    found = {"type": "text", "text": entry["text"]}
    return {**found, "synthetic": True} if hidden or not _is_for("user", entry) else found


def _is_for(audience: str, entry: object) -> bool:
    """Whether content is meant for ``user`` or ``assistant``, by MCP's annotations; without a word it is for both."""
    meant = obj(obj(entry).get("annotations")).get("audience")
    return not isinstance(meant, list) or audience in meant


def _file(entry: dict[str, Any]) -> dict[str, Any] | None:
    """A file given as base64: an ``image``, or MCP's ``audio`` or ``resource`` with a ``blob``."""
    mime, data = txt(entry.get("mimeType")), entry.get("data", entry.get("blob"))
    if not isinstance(data, str) or not MIME.fullmatch(mime):
        return None
    return {"type": "file", "mime": mime, "url": f"data:{mime};base64,{data}"}


def _call(entry: dict[str, Any], at: int) -> dict[str, Any] | None:
    request = obj(entry.get("toolCall"))
    call = obj(request.get("value"))
    tool, given = txt(call.get("name")), call.get("arguments")
    given = {} if given is None else given if isinstance(given, dict) else {"arguments": given}
    state = {"status": "pending", "input": given, "raw": ""}
    if request.get("status") == "error":
        # What the model wrote could not be read as a call.
        tool = tool or "invalid"
        times = {"start": at, "end": at}
        state = {"status": "error", "input": given, "error": _words(request.get("error")), "time": times}
    if not tool:
        return None
    return {"type": "tool", "callID": txt(entry.get("id")), "tool": tool, "state": state}


@dataclass(frozen=True, slots=True)
class _Said:
    text: str
    files: list[dict[str, Any]]
    failed: bool


def _said(result: dict[str, Any]) -> _Said:
    value = result.get("value")
    if result.get("status") == "error":
        return _Said(_words(result.get("error")), [], True)
    # Before 1.10 the value was the content itself.
    content = value if isinstance(value, list) else obj(value).get("content")
    if not isinstance(content, list):
        return _Said(_words(value), [], False)
    # Tools of goose's own say most things twice, in one form for the model and in another for the screen.
    meant = [entry for entry in content if _is_for("assistant", entry)] or content
    texts, files = [], []
    for entry in meant:
        resource = obj(obj(entry).get("resource")) or obj(entry)
        if file := _file(resource):
            files.append(file)
        elif isinstance(resource.get("text"), str):
            texts.append(resource["text"])
        else:
            texts.append(txt(resource.get("uri")) or _words(entry))
    text = "\n".join(texts) if meant else _words(obj(value).get("structuredContent"))
    return _Said(text, files, obj(value).get("isError") is True)


def _metadata(structured: object) -> dict[str, Any]:
    if isinstance(structured, dict) and "exit_code" in structured:
        # The stdout and stderr beside it are the output once more.
        return {"exit": structured["exit_code"]}
    return {} if structured is None else {"structuredContent": structured}


def _words(value: object) -> str:
    return value if isinstance(value, str) else "" if value is None else pretty(value)
