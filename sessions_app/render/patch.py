"""Unified patches as rows of lines."""

import re
from dataclasses import dataclass
from itertools import zip_longest

from django.utils.safestring import SafeString

from sessions_app.render.code import LONGEST_HIGHLIGHTED, highlighted

_HUNK = re.compile(r"^@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@(.*)$")
_HEAD = (
    "--- ",
    "+++ ",
    "Index: ",
    "====",
    "diff ",
    "index ",
    "*** ",
    "new file",
    "deleted file",
    "similarity",
    "rename ",
)
MOST_LINES = 5000


@dataclass(frozen=True, slots=True)
class Line:
    """One row: ``kind`` is ``add``, ``remove``, ``same`` or ``hunk``."""

    kind: str
    old: int | None
    new: int | None
    html: SafeString

    @property
    def sign(self) -> str:
        return {"add": "+", "remove": "−"}.get(self.kind, "")


def lines(patch: str, file: str = "", most: int = MOST_LINES) -> list[Line]:
    """The patch's rows, of its first ``most`` lines."""
    if len(patch) > LONGEST_HIGHLIGHTED:
        file = ""
    rows: list[Line] = []
    old = new = 0
    in_hunk = False
    for text in patch.split("\n")[:most]:
        if match := _HUNK.match(text):
            old, new, in_hunk = int(match[1]), int(match[2]), True
            rows.append(Line("hunk", None, None, highlighted(match[3].strip(), file=file)))
        elif not in_hunk and (not text or text.startswith(_HEAD)):
            continue
        elif text.startswith("+"):
            rows.append(Line("add", None, new or None, highlighted(text[1:], file=file)))
            new += 1
        elif text.startswith("-"):
            rows.append(Line("remove", old or None, None, highlighted(text[1:], file=file)))
            old += 1
        elif text.startswith("\\"):
            rows.append(Line("hunk", None, None, highlighted(text[2:])))
        elif text or in_hunk:
            rows.append(Line("same", old or None, new or None, highlighted(text[1:], file=file)))
            old, new = old + 1, new + 1
    if rows and rows[-1].kind == "same" and not rows[-1].html:
        rows.pop()
    return rows


_NOTHING = Line("none", None, None, SafeString(""))


def pairs(rows: list[Line]) -> list[tuple[Line, Line]]:
    """The rows side by side: what was removed beside what was added in its place."""
    paired: list[tuple[Line, Line]] = []
    removed: list[Line] = []
    added: list[Line] = []

    def settle() -> None:
        paired.extend(zip_longest(removed, added, fillvalue=_NOTHING))
        removed.clear()
        added.clear()

    for row in rows:
        if row.kind == "remove":
            if added:
                settle()
            removed.append(row)
        elif row.kind == "add":
            added.append(row)
        else:
            settle()
            paired.append((row, row))
    settle()
    return paired
