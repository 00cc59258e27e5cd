"""What an agent did between prompt and answer, folded to one line that says it in words."""

import re
from dataclasses import dataclass, field
from typing import NamedTuple

from django.utils.safestring import SafeString

from sessions_app import json_text
from sessions_app.models import Part
from sessions_app.paths import relative
from sessions_app.reading import Reading
from sessions_app.render.tool import Tool, obj
from sessions_app.text import line

# What belongs to the agent's working and not to its answer.
_STEPS = {"tool", "step-start", "step-finish", "snapshot", "patch", "reasoning", "retry", "subtask", "agent"}
# What one call of a kind is called, several, and (of files) calls that all concern the same; ``static/js/fold.js`` says
# the same of what arrives live.
WORDS = {
    "bash": ("ran {} command", "ran {} commands"),
    "read": ("read {} file", "read {} files", "read {}"),
    "write": ("wrote {} file", "wrote {} files", "wrote {}"),
    "edit": ("edited {} file", "edited {} files", "edited {}"),
    "patch": ("patched files {} time", "patched files {} times"),
    "search": ("searched {} time", "searched {} times"),
    "web": ("looked at {} page", "looked at {} pages"),
    "task": ("delegated {} task", "delegated {} tasks"),
    "todo": ("planned", "planned"),
    "": ("called {} other tool", "called {} other tools"),
}
WORDS_JSON = json_text.dumps(WORDS)


class Call(NamedTuple):
    """What a fold says of a tool call: nothing of its content but a file's name, so that it need not be rendered."""

    kind: str
    status: str
    seconds: float | None
    file: str


def is_step(part: Part) -> bool:
    return part.kind in _STEPS


def call_of(reading: Reading, part: Part) -> Call | None:
    """What a fold says of this part, where it is a tool call."""
    if part.kind != "tool":
        return None
    tool = Tool(obj(part.data))
    kind = tool.kind if tool.kind in WORDS else ""
    file = line(relative(reading.text(tool.file), reading.directory), 200)
    return Call(kind, tool.status, tool.seconds, file if len(WORDS[kind]) > 2 else "")


def slot_of(pk: int | str) -> str:
    """The id of a part's place on the page, which stays when the part changes."""
    return f"slot-{pk}"


class ShownPart(NamedTuple):
    """A part as HTML, and a key that changes whenever the part does: ``primary key:revision``."""

    key: str
    html: SafeString

    @property
    def slot(self) -> str:
        """The id of its place on the page."""
        return slot_of(self.key.partition(":")[0])


def _said(kind: str, calls: list[Call]) -> str:
    """What calls of one kind did; of files each counts once."""
    names = {call.file for call in calls if call.file}
    count = len(names) + sum(not call.file for call in calls)
    one, several, *same = WORDS[kind]
    if same and count == len(names) == 1:
        (name,) = names
        return same[0].format(re.split(r"[\\/]", name)[-1])
    return (several if count > 1 else one).format(count)


@dataclass(slots=True)
class Run:
    """One message's consecutive steps; it bears its message's id where that message holds nothing else."""

    parts: list[ShownPart] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    id: str = ""
    order: str = ""

    @property
    def calls_json(self) -> str:
        return json_text.dumps(self.calls)


@dataclass(slots=True)
class Steps:
    """Runs of one or several neighbouring messages."""

    runs: list[Run]
    # What the agent is at just now; its fold stays open.
    newest: bool = False

    @property
    def calls(self) -> list[Call]:
        return [call for run in self.runs for call in run.calls]

    @property
    def folds(self) -> bool:
        """A single call is its own one line."""
        return len(self.calls) > 1

    @property
    def failed(self) -> bool:
        return any(call.status == "error" for call in self.calls)

    @property
    def summary(self) -> str:
        by_kind: dict[str, list[Call]] = {}
        for call in self.calls:
            by_kind.setdefault(call.kind, []).append(call)
        # What has no word of its own is said last.
        kinds = [kind for kind in by_kind if kind] + ([""] if "" in by_kind else [])
        return ", ".join(_said(kind, by_kind[kind]) for kind in kinds)

    @property
    def seconds(self) -> float | None:
        known = [call.seconds for call in self.calls if call.seconds is not None]
        return sum(known) if known else None
