"""Every recorded part and tool keeps its shape on the page: elements and classes, not bytes.

``GANDER_TEST_WRITE_GOLDEN=1`` writes the shapes anew; read the difference before committing it.
"""

import json
import os
from html.parser import HTMLParser
from typing import Any

import pytest

from project.accounts.models import User
from sessions_app.models import Session
from sessions_app.reading import Reading
from sessions_app.render.part import part_html
from sharing.masking import mask
from tests import factories
from tests.components import ROOT
from tests.recordings import lines, share_data

GOLDEN = ROOT / "tests" / "golden" / "parts.json"
EXPORTS = ROOT.parent / "shared" / "fixtures" / "transcripts" / "opencode"
VOID = {"img", "br", "hr", "input", "use"}


class Shape(HTMLParser):
    """The elements of a fragment as an indented outline; runs of equal ones are one."""

    def __init__(self) -> None:
        super().__init__()
        self.depth = 0
        self.rows: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "svg" or tag == "use":
            self.depth += tag == "svg"
            return
        classes = dict(attrs).get("class") or ""
        if not classes.startswith("t-"):
            row = f"{'  ' * self.depth}{tag}{'.' + classes.replace(' ', '.') if classes else ''}"
            if not self.rows or self.rows[-1] != row:
                self.rows.append(row)
        if tag not in VOID:
            self.depth += 1

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            self.depth -= 1


def shape(html: str) -> list[str]:
    parser = Shape()
    parser.feed(html)
    return parser.rows


def recorded_parts() -> dict[str, dict[str, Any]]:
    """One part of each kind, tool and state of the recordings, the fullest."""
    parts = [
        item["data"]
        for name in ("1.1.53-fixture-all-parts", "1.18.33-fixture-all-parts")
        for item in share_data(name)
        if item["type"] == "part"
    ]
    for line in lines("1.18.33-serve-full"):
        if line["path"].endswith("/sync"):
            parts += [item["data"] for item in line["body"]["data"] if item["type"] == "part"]
    found: dict[str, dict[str, Any]] = {}
    for part in parts:
        state = part.get("state", {}).get("status", "")
        key = " ".join(filter(None, [part["type"], part.get("tool", ""), state]))
        if key not in found or len(json.dumps(part)) > len(json.dumps(found[key])):
            found[key] = part
    return {**found, **UNRECORDED}


def _tool(tool: str, **state: Any) -> dict[str, Any]:
    """A call of a tool that no recording holds, in the shape of its agent's sources."""
    data: dict[str, Any] = factories.tool_part(tool, f"prt_{tool}", **state)["data"]
    return data


UNRECORDED = {
    "tool multiedit completed": _tool(
        "multiedit",
        input={"filePath": "/home/dev/app/a.py", "edits": [{}, {}]},
        metadata={
            "results": [
                {"filediff": {"file": "a.py", "before": "a\n", "after": "b\n"}},
                {"diff": "@@ -1 +1 @@\n-b\n+c\n"},
            ]
        },
    ),
    "tool batch completed": _tool(
        "batch", input={"tool_calls": [{"tool": "read", "parameters": {"filePath": "/home/dev/app/a.py"}}]}
    ),
    "tool mcp completed": _tool("weather_forecast", input={"city": "Bern"}, output="Rain"),
    "tool bash failed": _tool(
        "bash", input={"command": "make"}, metadata={"exit": 2}, output="make: *** No targets.  Stop."
    ),
    "tool skill completed": _tool("skill", input={"name": "release"}, output="How to release"),
    "unknown kind": {"id": "prt_new", "messageID": "msg_2", "type": "hologram", "shape": {"sides": 6}},
    "tool subagent completed": _tool(
        "subagent", input={"description": "Look", "prompt": "Look at it"}, output="Seen"
    ),
}


def rendered(alice: User, data: dict[str, Any]) -> list[list[str]]:
    session = Session.objects.create(
        owner=alice, source="opencode", external_id=f"golden {data['id']}", directory="/home/dev/app"
    )
    session = factories.apply(session, {"type": "part", "data": data})
    part = session.parts.get()
    return [
        shape(part_html(reading, part, role="assistant", whole=True))
        for reading in (Reading(session), Reading(session, mask, masked=True))
    ]


def test_every_recorded_part_has_its_golden_shape(alice: User) -> None:
    shapes = {key: rendered(alice, part) for key, part in sorted(recorded_parts().items())}
    if os.environ.get("GANDER_TEST_WRITE_GOLDEN"):
        GOLDEN.parent.mkdir(exist_ok=True)
        GOLDEN.write_text(json.dumps(shapes, indent=1) + "\n")
    assert shapes == json.loads(GOLDEN.read_text())


@pytest.mark.skipif(not EXPORTS.is_dir(), reason="third-party transcripts are not here")
def test_every_part_of_an_export_is_shown(alice: User) -> None:
    for path in sorted(EXPORTS.glob("*.json")):
        for message in json.loads(path.read_text())["messages"]:
            for part in message["parts"]:
                for rows in rendered(alice, {**part, "id": f"{path.stem} {part['id']}"[-150:]}):
                    assert not any(row.startswith("div.note") for row in rows), part["type"]
