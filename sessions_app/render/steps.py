"""What an agent did between prompt and answer, folded to one line that says it in words."""

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

from django.utils.safestring import SafeString

from sessions_app import json_text
from sessions_app.models import Part
from sessions_app.render.tool import Tool, obj

# What belongs to the agent's working and not to its answer.
_STEPS = {"tool", "step-start", "step-finish", "snapshot", "patch", "reasoning", "retry", "subtask", "agent"}
# What a number of calls of one kind is called; ``static/js/fold.js`` says the same of what arrives live.
WORDS = {
    "bash": ("ran {} command", "ran {} commands"),
    "read": ("read {} file", "read {} files"),
    "write": ("wrote {} file", "wrote {} files"),
    "edit": ("edited {} file", "edited {} files"),
    "patch": ("patched files {} time", "patched files {} times"),
    "search": ("searched {} time", "searched {} times"),
    "web": ("looked at {} page", "looked at {} pages"),
    "task": ("delegated {} task", "delegated {} tasks"),
    "todo": ("planned", "planned"),
    "": ("called {} other tool", "called {} other tools"),
}
WORDS_JSON = json_text.dumps(WORDS)


class Call(NamedTuple):
    """What a fold says of a tool call: nothing of its content, so that it need be neither masked nor rendered."""

    kind: str
    status: str
    seconds: float | None


def is_step(part: Part) -> bool:
    return part.kind in _STEPS


def call_of(part: Part) -> Call | None:
    """What a fold says of this part, where it is a tool call."""
    if part.kind != "tool":
        return None
    tool = Tool(obj(part.data))
    return Call(tool.kind if tool.kind in WORDS else "", tool.status, tool.seconds)


class ShownPart(NamedTuple):
    """A part as HTML, and a key that changes whenever the part does: ``primary key:revision``."""

    key: str
    html: SafeString


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
        done = Counter(call.kind for call in self.calls)
        # What has no word of its own is said last.
        kinds = [kind for kind in done if kind] + ([""] if "" in done else [])
        return ", ".join(WORDS[kind][done[kind] > 1].format(done[kind]) for kind in kinds)

    @property
    def seconds(self) -> float | None:
        known = [call.seconds for call in self.calls if call.seconds is not None]
        return sum(known) if known else None
