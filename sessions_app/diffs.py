"""File diffs of either shape a source sends, as unified patches."""

import difflib
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sessions_app.text import storable

# Beyond this many differing lines on both sides together difflib, which is quadratic, is not asked.
_EXACT_LINES = 3000
MOST = 10**9


@dataclass(frozen=True, slots=True)
class Diff:
    """How one file changed."""

    file: str
    patch: str
    additions: int
    deletions: int
    status: str

    @property
    def digest(self) -> str:
        return file_digest(self.file)


def file_digest(file: str) -> str:
    """A key of fixed length for a file's name."""
    return hashlib.md5(file.encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()


def count(value: object, most: int = MOST) -> int:
    """A count as a source gives it, within what our columns hold; anything else is none."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value:
        return 0
    return int(min(max(value, 0), most))


def parse(entries: Iterable[Any]) -> list[Diff]:
    """Reads opencode's diffs: ``{file, patch, …}``, or ``{file, before, after, …}`` as clients up to 1.3 send.

    Later entries win over earlier ones of the same file; entries that name no file are passed over.
    """
    found: dict[str, Diff] = {}
    for entry in entries:
        if not isinstance(entry, dict):
            continue
        file = entry.get("file") or entry.get("path")
        if not isinstance(file, str):
            continue
        found.pop(file, None)
        patch = entry.get("patch")
        if not isinstance(patch, str):
            before, after = entry.get("before"), entry.get("after")
            patch = unified(
                file, before if isinstance(before, str) else "", after if isinstance(after, str) else ""
            )
        status = entry.get("status")
        found[file] = Diff(
            file=storable(file),
            patch=storable(patch),
            additions=count(entry.get("additions")),
            deletions=count(entry.get("deletions")),
            status=storable(status)[:20] if isinstance(status, str) else "",
        )
    return list(found.values())


def unified(file: str, before: str, after: str) -> str:
    """The unified patch that turns one whole file into another; empty where nothing changed."""
    if before == after:
        return ""
    old, new = _lines(before), _lines(after)
    head = 0
    while head < min(len(old), len(new)) and old[head] == new[head]:
        head += 1
    tail = 0
    while tail < min(len(old), len(new)) - head and old[-1 - tail] == new[-1 - tail]:
        tail += 1
    if len(old) + len(new) - 2 * (head + tail) <= _EXACT_LINES:
        # Only what lies between the common ends is compared, with three lines of each end as context.
        start, end = max(head - 3, 0), max(tail - 3, 0)
        hunks = difflib.unified_diff(
            old[start : len(old) - end], new[start : len(new) - end], n=3, lineterm=""
        )
        body = [_shifted(line, start) for line in list(hunks)[2:]]
    else:
        removed, added = old[head : len(old) - tail], new[head : len(new) - tail]
        body = [_hunk(head, len(removed), len(added)), *(f"-{x}" for x in removed), *(f"+{x}" for x in added)]
    return "\n".join([f"--- {file}", f"+++ {file}", *body]) + "\n"


def _lines(text: str) -> list[str]:
    """The lines of a file as patches have them: a last one that does not end says so."""
    lines = text.split("\n")
    if not lines[-1]:
        lines.pop()
    else:
        lines[-1] += "\n\\ No newline at end of file"
    return lines


def _hunk(start: int, old: int, new: int) -> str:
    return f"@@ -{start + 1 if old else start},{old} +{start + 1 if new else start},{new} @@"


_HUNK = re.compile(r"^@@ -(\d+)((?:,\d+)?) \+(\d+)((?:,\d+)?) @@$")


def _shifted(line: str, by: int) -> str:
    """A line of a diff whose hunks are numbered from a later line of the file."""
    match = _HUNK.match(line) if by else None
    if match is None:
        return line
    return f"@@ -{int(match[1]) + by}{match[2]} +{int(match[3]) + by}{match[4]} @@"
