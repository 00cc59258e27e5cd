"""A session as Markdown: for curl, for other agents, for archives."""

from collections.abc import Iterator
from typing import Any

from sessions_app.models import Part
from sessions_app.reading import Reading
from sessions_app.render.ansi import stripped
from sessions_app.render.errors import error_of
from sessions_app.render.tool import Tool, obj, patched_files, pretty, txt
from sessions_app.text import storable_throughout

# More of an output than this is seldom read, and an agent that reads the file pays for every word.
_LONGEST_OUTPUT = 20_000


def export(reading: Reading) -> str:
    """The whole session, masked as the reading is."""
    return "\n\n".join(piece for piece in _pieces(reading) if piece) + "\n"


def _pieces(reading: Reading) -> Iterator[str]:
    session = reading.session
    yield f"# {reading.title}"
    facts = [session.get_source_display(), reading.directory, ", ".join(reading.model_names)]
    yield " · ".join(fact for fact in [*facts, f"{session.created_at:%Y-%m-%d %H:%M} UTC"] if fact)
    parts: dict[int, list[Part]] = {}
    for row in session.parts.order_by("external_id").iterator():
        parts.setdefault(row.message_id, []).append(row)
    speaker = ""
    for message in reading.messages().iterator():
        data = obj(storable_throughout(reading.message(message)))
        name = "You" if message.role == "user" else session.get_source_display()
        if name != speaker or message.role == "user":
            yield f"## {name}"
            speaker = name
        if reading.is_reverted(message.external_id):
            yield "*(reverted)*"
        for part in parts.get(message.pk, []):
            yield _part(obj(storable_throughout(reading.part(part))), reading.directory)
        if error := error_of(data.get("error")):
            yield f"> **{error['name']}** {error['status']} {error['message']}{' …' if error['cut'] else ''}".rstrip()


def _part(data: dict[str, Any], directory: str) -> str:
    match data.get("type"):
        case "text":
            return "" if data.get("synthetic") else txt(data.get("text"))
        case "reasoning":
            return "\n".join(f"> {line}" for line in txt(data.get("text")).splitlines())
        case "file":
            return f"*Attached: {txt(data.get('filename')) or 'a file'}*"
        case "tool":
            return _tool(Tool(data, directory))
        case "compaction":
            return "*The conversation was compacted here.*"
        case "retry":
            error = error_of(data.get("error")) or {"name": "", "message": "", "cut": ""}
            cut = " …" if error["cut"] else ""
            return f"*Tried again after {error['name'] or 'an error'}: {error['message']}{cut}*"
        case "patch":
            files = patched_files(data, directory)
            return f"*Changed {', '.join(files)}*" if files else ""
        case "agent":
            return f"*Agent {txt(data.get('name'))}*"
        case "subtask":
            return f"*Delegated: {txt(data.get('description'))}*\n\n{txt(data.get('prompt'))}".rstrip()
        case "step-start" | "step-finish" | "snapshot":
            return ""
        case kind:
            return f"*{txt(kind) or 'Unknown'}*\n\n{_fenced(pretty(data), 'json')}"


def _tool(tool: Tool) -> str:
    seconds = f", {tool.seconds:.1f} s" if tool.seconds is not None else ""
    head = f"**{tool.verb}** {f'`{tool.object}`' if tool.object else ''} ({tool.status_word}{seconds})"
    blocks = [_fenced(text, language) for text, language in _given(tool)]
    patches = tool.patches or (tool.wanted_patches if tool.kind in ("edit", "patch") else [])
    blocks += [_fenced(patch, "diff") for _, patch in patches]
    output = tool.error or ("" if tool.patches else tool.output)
    if output:
        blocks.append(_fenced(stripped(output)))
    return "\n\n".join([head, *blocks])


def _given(tool: Tool) -> list[tuple[str, str]]:
    """What the call was given, beyond what its first line says; each text with its language."""
    match tool.kind:
        case "bash":
            return [(tool.command, "sh")] if tool.command != tool.object else []
        case "write":
            return [(tool.written, "")]
        case "task":
            return [(txt(tool.input.get("prompt")), "")]
        case "batch":
            return [(f"{call.name} {call.pretty_input}".rstrip(), "") for call in tool.calls]
        case "todo":
            marks = {"completed": "x"}
            return [("\n".join(f"[{marks.get(t['status'], ' ')}] {t['content']}" for t in tool.todos), "")]
        case "question":
            return [("\n".join(f"{q['question']}\n→ {q['answer']}" for q in tool.questions), "")]
        case "generic":
            return [(tool.pretty_input, "json")] if tool.pretty_input else []
        case _:
            return []


def _fenced(text: str, language: str = "") -> str:
    """A code block whose fence does not occur in the text (CommonMark §4.5)."""
    if len(text) > _LONGEST_OUTPUT:
        text = f"{text[:_LONGEST_OUTPUT]}\n… {len(text) - _LONGEST_OUTPUT} more characters"
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"
