"""The built-in extension ``files``: it lists, reads, searches, writes and edits under one directory, and nowhere else."""

import fnmatch
import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from extensions.tools import Outcome, Tool

_MOST_ENTRIES = 1000
_MOST_MATCHES = 200
_MOST_LINES = 2000
_LONGEST_LINE = 2000
_LARGEST_FILE = 5_000_000
_SEARCH_SECONDS = 20.0
_SKIPPED = {".git", "node_modules", "__pycache__", ".venv"}
_NO_FOLLOW = os.O_NOFOLLOW | os.O_CLOEXEC


class Refused(Exception):
    """A call that cannot be done; the message is for the model."""


@contextmanager
def _open(root: Path, path: str, flags: int) -> Iterator[int]:
    """A descriptor of a file or directory below ``root``.

    Symbolic links are resolved first, and what comes of it is opened name by name without following any: a link put
    in place meanwhile fails instead of leading out.

    Raises:
        Refused: it lies outside, or cannot be opened.
    """
    parts = _parts(root, path)
    held = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for name in parts[:-1]:
            deeper = os.open(name, os.O_RDONLY | os.O_DIRECTORY | _NO_FOLLOW, dir_fd=held)
            os.close(held)
            held = deeper
        if parts:
            # A pipe or a device would hold whoever opens it.
            opened = os.open(parts[-1], flags | _NO_FOLLOW | os.O_NONBLOCK, 0o644, dir_fd=held)
            os.close(held)
            held = opened
        yield held
    except OSError as error:
        raise Refused(f"{path}: {error.strerror or error}.") from None
    finally:
        os.close(held)


def _parts(root: Path, path: str) -> tuple[str, ...]:
    if "\0" in path:
        raise Refused("A path cannot hold a NUL character.")
    try:
        real = Path(os.path.realpath(root / path))
    except (OSError, ValueError) as error:
        raise Refused(f"{path}: {error}") from None
    if not real.is_relative_to(root):
        raise Refused(f"{path} lies outside of the session's directory. Use paths below it.")
    return real.relative_to(root).parts


def _listed(root: Path, path: str = ".") -> Outcome:
    with _open(root, path, os.O_RDONLY | os.O_DIRECTORY) as directory:
        names = sorted(os.listdir(directory))  # noqa: PTH208 - a descriptor, not a path
        lines = [name + _mark(directory, name) for name in names[:_MOST_ENTRIES]]
    if len(names) > _MOST_ENTRIES:
        lines.append(f"… and {len(names) - _MOST_ENTRIES} more")
    return Outcome("\n".join(lines) or "The directory is empty.", metadata={"count": len(names)})


def _mark(directory: int, name: str) -> str:
    mode = os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode
    return "/" if stat.S_ISDIR(mode) else "@" if stat.S_ISLNK(mode) else ""


def _text_of(root: Path, path: str) -> str:
    with _open(root, path, os.O_RDONLY) as descriptor:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise Refused(f"{path} is no file.")
        if found.st_size > _LARGEST_FILE:
            raise Refused(f"{path} has {found.st_size:,} bytes; at most {_LARGEST_FILE:,} can be read.")
        with os.fdopen(os.dup(descriptor), "rb") as file:
            content = file.read(_LARGEST_FILE + 1)
    if b"\0" in content[:8000]:
        raise Refused(f"{path} is not a text file.")
    return content.decode("utf-8", "replace")


def _read(root: Path, path: str, offset: int = 1, limit: int = _MOST_LINES) -> Outcome:
    lines = _text_of(root, path).split("\n")
    if lines and not lines[-1]:
        lines.pop()
    first = max(offset, 1) - 1
    some = lines[first : first + max(min(limit, _MOST_LINES), 1)]
    text = "\n".join(f"{first + at + 1}: {line[:_LONGEST_LINE]}" for at, line in enumerate(some))
    left = len(lines) - first - len(some)
    more = f"\n… {left} more lines; read on with offset {first + len(some) + 1}" if left > 0 else ""
    return Outcome((text + more) or "The file is empty.")


def _searched(root: Path, text: str, path: str = ".", names: str = "*", ignore_case: bool = False) -> Outcome:
    if not text:
        raise Refused("Give the text to look for.")
    wanted = text.lower() if ignore_case else text
    found: list[str] = []
    start = root.joinpath(*_parts(root, path))
    until = time.monotonic() + _SEARCH_SECONDS
    for file in _files_below(start):
        if time.monotonic() > until:
            return Outcome("\n".join([*found, "… the search took too long and ended here; narrow it"]))
        relative = str(file.relative_to(root))
        if not fnmatch.fnmatch(file.name, names) and not fnmatch.fnmatch(relative, names):
            continue
        try:
            content = _text_of(root, relative)
        except Refused:
            continue
        for number, line in enumerate(content.split("\n"), 1):
            if wanted in (line.lower() if ignore_case else line):
                found.append(f"{relative}:{number}: {line.strip()[:300]}")
                if len(found) >= _MOST_MATCHES:
                    return Outcome("\n".join([*found, "… there is more; narrow the search"]))
    return Outcome("\n".join(found) or "Nothing was found.", metadata={"count": len(found)})


def _files_below(start: Path) -> Iterator[Path]:
    if start.is_file():
        yield start
        return
    for directory, inside, files in os.walk(start, followlinks=False):
        inside[:] = sorted(name for name in inside if name not in _SKIPPED)
        for name in sorted(files):
            yield Path(directory) / name


def _written(root: Path, path: str, content: str) -> Outcome:
    try:
        before = _text_of(root, path)
        exists = True
    except Refused:
        before, exists = "", root.joinpath(*_parts(root, path)).exists()
        if not exists:
            _make_parents(root, path)
    _put(root, path, content)
    lines = content.count("\n") + (not content.endswith("\n") and bool(content))
    return Outcome(
        f"{'Replaced' if exists else 'Wrote'} {path}, {lines} line{'' if lines == 1 else 's'}.",
        change=(_shown(root, path), before, content),
    )


def _make_parents(root: Path, path: str) -> None:
    parts = _parts(root, path)
    for end in range(1, len(parts)):
        at = "/".join(parts[:end])
        with _open(root, "/".join(parts[: end - 1]) or ".", os.O_RDONLY | os.O_DIRECTORY) as directory:
            try:
                os.mkdir(parts[end - 1], 0o755, dir_fd=directory)
            except FileExistsError:
                continue
            except OSError as error:
                raise Refused(f"{at}: {error.strerror}.") from None


def _put(root: Path, path: str, content: str) -> None:
    try:
        data = content.encode()
    except UnicodeEncodeError:
        raise Refused("The content holds characters that no file can hold.") from None
    if len(data) > _LARGEST_FILE:
        raise Refused(f"The content has {len(data):,} bytes; at most {_LARGEST_FILE:,} can be written.")
    with _open(root, path, os.O_WRONLY | os.O_CREAT) as descriptor:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise Refused(f"{path} is no file.")
        os.ftruncate(descriptor, 0)
        with os.fdopen(os.dup(descriptor), "wb") as file:
            file.write(data)


def _edited(root: Path, path: str, old: str, new: str, all: bool = False) -> Outcome:
    before = _text_of(root, path)
    count = before.count(old) if old else 0
    if count == 0:
        raise Refused(f"The text to replace does not stand in {path}. Read the file and give it exactly.")
    if count > 1 and not all:
        raise Refused(f"The text stands {count} times in {path}. Give more of it, or set all to true.")
    if "\ufffd" in before:
        raise Refused(f"{path} is not plain UTF-8; editing would damage it.")
    after = before.replace(old, new)
    _put(root, path, after)
    return Outcome(
        f"Replaced {count} place{'' if count == 1 else 's'} in {path}.",
        change=(_shown(root, path), before, after),
    )


def _shown(root: Path, path: str) -> str:
    return "/".join(_parts(root, path))


def _schema(required: tuple[str, ...], **properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


_PATH = {"type": "string", "description": "A path below the session's directory"}
_TEXT = {"type": "string"}


@dataclass(frozen=True, slots=True)
class _Entry:
    run: Callable[..., Outcome]
    tool: Tool


_TOOLS = {
    entry.tool.name: entry
    for entry in (
        _Entry(_listed, Tool("list", "Lists a directory. Directories end with /, links with @.", True, _schema((), path=_PATH))),
        _Entry(
            _read,
            Tool(
                "read",
                f"Reads a text file, up to {_MOST_LINES} lines at a time, each with its number.",
                True,
                _schema(
                    ("path",),
                    path=_PATH,
                    offset={"type": "integer", "description": "The first line to read, from 1"},
                    limit={"type": "integer", "description": "How many lines"},
                ),
            ),
        ),
        _Entry(
            _searched,
            Tool(
                "search",
                "Finds lines that hold a text, exactly as given, in all files below a path.",
                True,
                _schema(
                    ("text",),
                    text=_TEXT,
                    path=_PATH,
                    names={"type": "string", "description": "Only files whose names fit, such as *.py"},
                    ignore_case={"type": "boolean"},
                ),
            ),
        ),
        _Entry(
            _written,
            Tool(
                "write",
                "Writes a text file whole, in place of what it held; missing directories are made.",
                False,
                _schema(("path", "content"), path=_PATH, content=_TEXT),
            ),
        ),
        _Entry(
            _edited,
            Tool(
                "edit",
                "Replaces a text in a file. The text must stand there exactly once, or all must be true.",
                False,
                _schema(("path", "old", "new"), path=_PATH, old=_TEXT, new=_TEXT, all={"type": "boolean"}),
            ),
        ),
    )
}  # fmt: skip


def tools() -> list[Tool]:
    """What the extension offers."""
    return [entry.tool for entry in _TOOLS.values()]


def call(root: Path, name: str, arguments: dict[str, Any]) -> Outcome:
    """Calls one of the tools under ``root``, an absolute directory without symbolic links in its path. Blocks."""
    entry = _TOOLS.get(name)
    if entry is None:
        return Outcome(f"There is no tool {name}.", failed=True)
    if problem := _misfit(entry.tool.schema, arguments):
        return Outcome(problem, failed=True)
    try:
        return entry.run(root, **arguments)
    except Refused as refusal:
        return Outcome(str(refusal), failed=True)
    except OSError as error:
        return Outcome(f"It could not be done: {error.strerror or error}.", failed=True)


_TYPES: dict[str, type | tuple[type, ...]] = {"string": str, "integer": int, "boolean": bool}


def _misfit(schema: dict[str, Any], arguments: dict[str, Any]) -> str:
    """What is wrong with the arguments, in words."""
    known = schema["properties"]
    for name in schema["required"]:
        if name not in arguments:
            return f"The argument {name} is missing."
    for name, value in arguments.items():
        if name not in known:
            return f"There is no argument {name}; there are {', '.join(known)}."
        wanted = known[name]["type"]
        if not isinstance(value, _TYPES[wanted]) or (wanted == "integer" and isinstance(value, bool)):
            return f"The argument {name} must be of type {wanted}."
    return ""
