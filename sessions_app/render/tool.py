"""What a tool call did, in words and pieces that its card shows."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from sessions_app import json_text, paths
from sessions_app.diffs import unified
from sessions_app.render import names
from sessions_app.text import line

STATUSES = {"pending": "pending", "running": "running", "completed": "done", "error": "failed"}

# What an edit replaces, and with what, as agents name it.
_SIDES = (
    ("old", "oldString", "old_string", "old_str", "before"),
    ("new", "newString", "new_string", "new_str", "after"),
)


def obj(value: object) -> dict[str, Any]:
    """The value, where it is an object; an empty one otherwise."""
    return value if isinstance(value, dict) else {}


def items(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def txt(value: object) -> str:
    return value if isinstance(value, str) else ""


def _first(value: dict[str, Any], keys: tuple[str, ...]) -> str:
    """The first text under one of these keys."""
    return next((text for key in keys if (text := txt(value.get(key)))), "")


def _whole_lines(text: str) -> str:
    """A piece of a file, which says nothing of how the file ends."""
    return f"{text}\n" if text and not text.endswith("\n") else text


def number(value: object) -> float | None:
    return (
        value
        if isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e15
        else None
    )


def pretty(value: object) -> str:
    """JSON for people."""
    import json

    try:
        return json.dumps(value, indent=2, ensure_ascii=False)
    except (ValueError, TypeError, RecursionError):
        return json_text.dumps(value)


def patched_files(part: dict[str, Any], directory: str) -> list[str]:
    """The files that a ``patch`` part names, as seen from the session's directory."""
    return [paths.relative(txt(file), directory) for file in items(part.get("files"))]


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool call as its card shows it."""

    data: dict[str, Any]
    directory: str = ""
    # Whether it is shown to the person whom it asks.
    own: bool = False

    @property
    def name(self) -> str:
        return txt(self.data.get("tool")) or "tool"

    @property
    def kind(self) -> str:
        """Which card: a known kind, or ``generic``."""
        return names.kind_of(self.name, self.command)

    @property
    def shown_name(self) -> str:
        """Its name as people read it: an extension's tool behind the extension's name."""
        return names.shown_name(self.name)

    @property
    def verb(self) -> str:
        if self.asks or self.denied:
            return self.wish
        return "Listed" if names.lists(self.name) else names.VERBS.get(self.kind, self.shown_name)

    @property
    def wish(self) -> str:
        """What it wants to do, where it was not done yet."""
        return "List" if names.lists(self.name) else names.WISHES.get(self.kind, f"Use {self.shown_name}")

    @property
    def state(self) -> dict[str, Any]:
        return obj(self.data.get("state"))

    @property
    def input(self) -> dict[str, Any]:
        return obj(self.state.get("input"))

    @property
    def metadata(self) -> dict[str, Any]:
        return obj(self.state.get("metadata"))

    @property
    def output(self) -> str:
        output = self.state.get("output")
        if isinstance(output, str):
            return output
        return pretty(output) if output is not None else txt(self.metadata.get("output"))

    @property
    def error(self) -> str:
        error = self.state.get("error")
        return error if isinstance(error, str) else pretty(error) if error else ""

    @property
    def exit_code(self) -> int | None:
        code = number(self.metadata.get("exit"))
        return None if code is None else int(code)

    @property
    def status(self) -> str:
        """``pending``, ``running``, ``completed`` or ``error``; a command that exits with a number has failed."""
        status = txt(self.state.get("status"))
        if status == "completed" and self.exit_code:
            return "error"
        return status if status in STATUSES else "pending"

    @property
    def status_word(self) -> str:
        if self.exit_code and txt(self.state.get("status")) == "completed":
            return f"exit {self.exit_code}"
        if self.asks:
            return "waiting for you" if self.own else "waiting for approval"
        return "not allowed" if self.denied else STATUSES[self.status]

    @property
    def asks(self) -> bool:
        """Whether it waits for its owner's word."""
        return self.status == "pending" and self.metadata.get("approval") == "asked"

    @property
    def denied(self) -> bool:
        """Whether its owner did not allow it."""
        return self.status == "error" and self.metadata.get("approval") in ("deny_once", "always_deny")

    @property
    def seconds(self) -> float | None:
        times = obj(self.state.get("time"))
        start, end = number(times.get("start")), number(times.get("end"))
        return (end - start) / 1000 if start is not None and end is not None and end >= start else None

    @property
    def object(self) -> str:
        """What it was done to, in one line."""
        given = self.input
        match self.kind:
            case "bash":
                found = self.command
            case "read" | "write" | "edit":
                found = self.file
            case "patch":
                found = ", ".join(self.relative(file) for file in self._patched()) or txt(
                    self.state.get("title")
                )
            case "search":
                words = txt(given.get("pattern")) or txt(given.get("text"))
                found = " in ".join(filter(None, [words, self.relative(txt(given.get("path")))]))
            case "todo":
                todos = self.todos
                done = sum(todo["status"] == "completed" for todo in todos)
                found = f"{done} of {len(todos)} done" if todos else ""
            case "task":
                found = txt(given.get("description"))
            case "web":
                found = txt(given.get("url")) or txt(given.get("query"))
            case "question":
                found = "; ".join(
                    txt(obj(question).get("question")) for question in items(given.get("questions"))
                )
            case "skill":
                found = txt(given.get("name"))
            case "batch":
                found = f"{len(self.calls)} tools"
            case _:
                found = ""
        return line(found or txt(self.state.get("title")), 200)

    @property
    def file(self) -> str:
        """The file that it is about, relative to the session's directory."""
        for key in ("filePath", "file_path", "path", "filename"):
            if path := txt(self.input.get(key)):
                return self.relative(path)
        return self.relative(txt(self.metadata.get("filepath")))

    def relative(self, path: str) -> str:
        """The path as seen from the session's directory."""
        return paths.relative(path, self.directory)

    @property
    def patches(self) -> list[tuple[str, str]]:
        """The file changes that it made, as ``(file, unified patch)``."""
        # apply_patch names its files, multiedit has a result for each edit, and edit is one.
        several = items(self.metadata.get("files")) or items(self.metadata.get("results"))
        changed = [self._patch(obj(entry)) for entry in several] or [self._patch(self.metadata)]
        return [(file, patch) for file, patch in changed if patch]

    def _patch(self, entry: dict[str, Any]) -> tuple[str, str]:
        whole = obj(entry.get("filediff"))
        name = txt(entry.get("relativePath")) or txt(entry.get("filePath"))
        file = self.relative(name) or self.file
        patch = txt(entry.get("patch")) or txt(whole.get("patch")) or txt(entry.get("diff"))
        if not patch and "after" in whole:
            patch = unified(file, txt(whole.get("before")), txt(whole.get("after")))
        return file, patch

    @property
    def wanted_patches(self) -> list[tuple[str, str]]:
        """The file changes that it wants to make, as far as its input says them; lines are numbered from its own first."""
        given = self.input
        edits = [given, *map(obj, items(given.get("edits")))]
        found = [
            (self.file, unified(self.file, *(_whole_lines(_first(edit, side)) for side in _SIDES)))
            for edit in edits
        ]
        return [(file, patch) for file, patch in found if patch]

    @property
    def written(self) -> str:
        """The whole content that it writes."""
        return _first(self.input, ("content", "file_text"))

    @property
    def replaced(self) -> bool:
        """Whether a written file stood there before, with another content."""
        return any("\n@@ -" in patch and "\n@@ -0,0 " not in patch for _, patch in self.patches)

    def _patched(self) -> list[str]:
        files = [obj(entry) for entry in items(self.metadata.get("files"))]
        return [txt(entry.get("relativePath")) or txt(entry.get("filePath")) for entry in files]

    @property
    def todos(self) -> list[dict[str, str]]:
        todos = items(self.metadata.get("todos")) or items(self.input.get("todos"))
        return [
            {"content": txt(obj(todo).get("content")), "status": txt(obj(todo).get("status")) or "pending"}
            for todo in todos
        ]

    @property
    def questions(self) -> list[dict[str, str]]:
        answers = items(self.metadata.get("answers"))
        asked = items(self.input.get("questions"))
        return [
            {
                "question": txt(obj(question).get("question")),
                "answer": ", ".join(map(txt, items(answers[index]))) if index < len(answers) else "",
            }
            for index, question in enumerate(asked)
        ]

    @property
    def calls(self) -> list["Tool"]:
        """The calls inside a batch, of which it says no more than what they were given."""
        return [
            Tool(
                {
                    "type": "tool",
                    "tool": txt(obj(call).get("tool")) or "tool",
                    "state": {"status": "completed", "input": obj(call).get("parameters")},
                },
                self.directory,
            )
            for call in items(self.input.get("tool_calls"))
        ]

    @property
    def command(self) -> str:
        return txt(self.input.get("command"))

    @property
    def shown_command(self) -> str:
        return f"$ {self.command}"

    @property
    def diagnostics(self) -> list[str]:
        """Errors that a language server reported on the changed file."""
        by_file = obj(self.metadata.get("diagnostics"))
        return [
            line(f"{self.relative(str(file))}: {txt(obj(entry).get('message'))}", 1000)
            for file, entries in by_file.items()
            for entry in items(entries)
            if obj(entry).get("severity") == 1
        ][:20]

    @property
    def child_session(self) -> str:
        """The source's id of the session that a task ran in."""
        return txt(self.metadata.get("sessionId"))

    @property
    def url(self) -> str:
        """The address that was fetched, where a browser may follow it."""
        url = txt(self.input.get("url"))
        try:
            return url if urlsplit(url).scheme in {"http", "https"} else ""
        except ValueError:
            return ""

    @property
    def pretty_input(self) -> str:
        """Its input as JSON, paths as seen from the session's directory."""
        given = pretty(self.state.get("input")) if self.state.get("input") else ""
        within = self.directory.rstrip("/\\")
        # As JSON writes it.
        return given.replace(json_text.dumps(within + paths.separator(within))[:-1], '"') if within else given

    @property
    def attachments(self) -> list[dict[str, Any]]:
        return [obj(entry) for entry in items(self.state.get("attachments"))]
