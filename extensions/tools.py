"""A tool as an agent sees it, and what a call of it came to, whichever kind of extension it belongs to."""

from dataclasses import dataclass, field
from typing import Any

# More than this is no answer that a model could read; the call counts as failed, and says how it begins.
LARGEST = 400_000
_HEAD = 4_000


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool as its extension describes it; ``schema`` is the JSON schema of its arguments."""

    name: str
    description: str
    read_only: bool
    schema: dict[str, Any] = field(default_factory=lambda: {"type": "object", "properties": {}})


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a call came to, in words that the model reads.

    ``metadata`` is kept beside it for pages, such as a diff. ``change`` is ``(file, before, after)`` where a file was
    written.
    """

    text: str
    failed: bool = False
    metadata: dict[str, Any] = field(default_factory=dict)
    change: tuple[str, str, str] | None = None


def bounded(outcome: Outcome) -> Outcome:
    """The outcome, or a failure that says how it begins where it is too large to be read."""
    size = len(outcome.text)
    if size <= LARGEST:
        return outcome
    return Outcome(
        f"The result has {size:,} characters; at most {LARGEST:,} can be taken. Ask for less. It begins:\n"
        f"{outcome.text[:_HEAD]}",
        failed=True,
    )
