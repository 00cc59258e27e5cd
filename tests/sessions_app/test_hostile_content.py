"""Whatever an agent's text holds: the pages stay safe, and nothing answers 500."""

import json
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import pytest
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from project.accounts.models import User
from sessions_app.models import Session
from sessions_app.reading import Reading
from sessions_app.render.markdown import markdown
from sessions_app.render.part import part_html
from sharing import secrets
from sharing.masking import mask
from tests import factories

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x](data:text/html;base64,PHNjcmlwdD4=)",
    "![x](http://tracker.example/p.png)",
    '<a href="x" onclick="alert(1)">x</a>',
    "<iframe src=//evil.example></iframe>",
    "<style>*{display:none}</style>",
    "```html\n<script>alert(1)</script>\n```",
    '```"><script>alert(1)</script>\nx\n```',
    "| a |\n|:-:|\n| <script>alert(1)</script> |",
    "<svg/onload=alert(1)>",
    "\x00\x1b[31mred\x1b[0m\x1b]8;;javascript:alert(1)\x07link\x1b]8;;\x07",
    "a" * 120_000,
    "\ud800 lone",
    "> " * 500 + "deep",
    "[" * 3000 + "x",
    "*" * 5000 + "a",
    "{{ 7 * 7 }} {% load x %}",
]


class Inert(HTMLParser):
    """Reads a page as a browser does, and refuses what would run, load or lead astray."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in {"iframe", "object", "embed", "style", "base"}, tag
        for name, value in attrs:
            value = (value or "").strip().lower()
            assert not name.startswith("on") and name != "style", (tag, name)
            if tag == "script":
                assert name != "src" or value.startswith("/static/"), value
            elif name == "src":
                assert value.startswith(("/static/", "data:image/")), value
            elif name in {"href", "action"}:
                assert value.startswith(("/", "?", "#", "http://", "https://", "mailto:")), value
        assert tag != "script" or any(name == "src" for name, _ in attrs)


def everywhere(text: str) -> list[dict[str, Any]]:
    return [
        factories.session_item(title=text, directory=text, version=text, agent=text),
        factories.user_message(agent=text, summary={"diffs": [{"file": text, "patch": f"@@ -1 +1 @@\n-{text}\n+{text}", "additions": 1, "deletions": 1, "status": text}]}),
        factories.text_part(text=text),
        factories.assistant_message(modelID=text, error={"name": text, "data": {"message": text, "statusCode": 500}}),
        factories.text_part("t1", "msg_2", text),
        {"type": "part", "data": {"id": "t2", "messageID": "msg_2", "type": "reasoning", "text": text}},
        {"type": "part", "data": {"id": "t3", "messageID": "msg_2", "type": "file", "filename": text, "mime": text, "url": text}},
        {"type": "part", "data": {"id": "t4", "messageID": "msg_2", "type": text.replace("\0", "")[:40].replace("\ud800", "") or "x", "x": text}},
        {"type": "part", "data": {"id": "t5", "messageID": "msg_2", "type": "patch", "files": [text]}},
        {"type": "part", "data": {"id": "t6", "messageID": "msg_2", "type": "agent", "name": text}},
        {"type": "part", "data": {"id": "t7", "messageID": "msg_2", "type": "subtask", "prompt": text, "description": text, "agent": text}},
        *(
            factories.tool_part(tool, f"u{number}", input={"command": text, "filePath": text, "url": text, "pattern": text, "content": text, "todos": [{"content": text, "status": text}], "questions": [{"question": text}], "tool_calls": [{"tool": text, "parameters": {"x": text}}]}, output=text, title=text, metadata={"diff": text, "output": text, "sessionId": text})
            for number, tool in enumerate(["bash", "read", "write", "edit", "apply_patch", "grep", "todowrite", "task", "webfetch", "question", "skill", "batch", "mcp_thing", text[:30]])
        ),
    ]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_is_inert_wherever_it_stands(
    alice: User, browser_of: Callable[[User], Client], client: Client, text: str
) -> None:
    session = Session.objects.create(owner=alice, source="opencode", external_id="h", shared=True)
    body = json.dumps({"secret": secrets.of(session), "data": everywhere(text)})
    answer = client.post(f"/api/share/{session.share_id}/sync", body, content_type="application/json")
    assert answer.status_code == 200, answer.content
    assert "rejected" not in answer.json(), answer.json()
    owner = browser_of(alice)
    for page in (
        owner.get(f"/sessions/{session.pk}"),
        client.get(f"/share/{session.share_id}"),
        owner.get("/sessions"),
        *(
            owner.get(f"/sessions/{session.pk}/{view}")
            for view in ("changes", "changes?layout=split", "info", "outline", "find?q=a")
        ),
    ):
        assert page.status_code == 200
        html = page.content.decode()
        Inert().feed(html)
        assert "script-src 'self'" in page["Content-Security-Policy"]
        assert "could not be shown" not in html
    for part in session.parts.all():
        assert owner.get(f"/sessions/{session.pk}/parts/{part.pk}").status_code == 200
    assert client.get(f"/api/share/{session.share_id}/data").status_code == 200
    assert owner.get(f"/api/sessions/{session.pk}/messages").status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        b'{"secret": "SECRET", "data": [{"type": "part", "data": {"id": "p", "messageID": "m", "type": "text", "text": "\xff\xfe"}}]}',
        b'{"secret": "SECRET", "data": [{"type": "part", "data": {"id": "p", "messageID": "m", "type": "text", "text": 1e999}}]}',
        b'{"secret": "SECRET", "data": [{"type": "session", "data": {"time": {"created": 1e308, "updated": -1}, "title": 7}}]}',
        b'{"secret": "SECRET", "data": [{"type": "message", "data": {"id": "m", "tokens": {"input": 1e300, "cache": 5}, "cost": 1e300}}]}',
        b'{"secret": "SECRET", "data": [{"type": "x", "data": 123456789012345678901234567890}]}',
        b'{"secret": "SECRET", "data": [{"type": "x", "data": NaN}]}',
        b'{"secret": "SECRET", "data": [{"type": "x", "data": ' + b"[" * 900 + b"]" * 900 + b"}]}",
        b'{"secret": "SECRET", "data": [{"type": "x", "data": ' + b"[" * 100_000 + b"]" * 100_000 + b"}]}",
        b'{"secret": "SECRET", "data": [{"type": "message", "data": {"id": "\\u0000"}}]}',
        b'{"secret": "SECRET", "data": [{"type": "message", "data": {"id": "' + b"x" * 500 + b'"}}]}',
        b"\x00\x01\x02",
    ],
    ids=range(11),
)
def test_hostile_bodies_are_never_a_500(alice: User, client: Client, body: bytes) -> None:
    session = Session.objects.create(owner=alice, source="opencode", external_id="h", shared=True)
    body = body.replace(b"SECRET", secrets.of(session).encode())
    answer = client.post(f"/api/share/{session.share_id}/sync", body, content_type="application/json")
    assert answer.status_code in (200, 400), answer.content
    for path in (f"/api/share/{session.share_id}", f"/share/{session.share_id}"):
        assert client.get(path).status_code == 200


def test_a_part_of_ten_megabytes_is_kept_whole_and_shown_by_its_head(alice: User, client: Client) -> None:
    line = "0123456789" * 10 + "\n"
    output = line * 100_000
    session = factories.session(
        alice,
        factories.assistant_message(),
        factories.tool_part("bash", input={"command": "yes"}, output=output),
        shared=True,
    )
    page = client.get(f"/share/{session.share_id}")
    assert len(page.content) < 60_000
    assert "Show all 100001 lines" in page.content.decode()
    part = session.parts.get()
    assert len(client.get(f"/share/{session.share_id}/parts/{part.pk}").content) > 10_000_000
    held = client.get(f"/api/share/{session.share_id}/data").json()
    assert next(item for item in held if item["type"] == "part")["data"]["state"]["output"] == output


def test_a_body_over_the_limit_is_413(alice: User, client: Client, settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
    session = factories.session(alice)
    answer = client.post(
        f"/api/share/{session.share_id}/sync", {"data": "x" * 2000}, content_type="application/json"
    )
    assert answer.status_code == 413
    assert "GANDER_MAX_SYNC_MB" in answer.json()["error"]


ANY_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda children: (
        st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=8), children, max_size=4)
    ),
    max_leaves=12,
)
FIELDS = st.sampled_from(["text", "state", "tool", "url", "filename", "tokens", "files", "error", "input", "output", "metadata", "status", "time", "todos", "questions", "tool_calls", "diff", "filediff", "title", "exit", "diagnostics", "attachments", "synthetic"])  # fmt: skip
KIND = st.sampled_from(["text", "reasoning", "file", "tool", "step-start", "step-finish", "snapshot", "patch", "agent", "subtask", "retry", "compaction", "wild"])  # fmt: skip
TOOLS = st.sampled_from(["bash", "read", "write", "edit", "apply_patch", "grep", "todowrite", "task", "webfetch", "question", "skill", "batch", "x"])  # fmt: skip


class AnyPart(TestCase):
    @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        kind=KIND,
        tool=TOOLS,
        fields=st.dictionaries(FIELDS, ANY_JSON, max_size=5),
        state=st.dictionaries(FIELDS, ANY_JSON, max_size=5),
        deeper=st.dictionaries(FIELDS, ANY_JSON, max_size=5),
    )
    def test_no_part_breaks_its_page(
        self, kind: str, tool: str, fields: Any, state: Any, deeper: Any
    ) -> None:
        session = Session.objects.create(owner=None, external_id="h")
        data = {"tool": tool, **fields, "id": "p", "messageID": "m", "type": kind}
        if kind == "tool":
            data["state"] = {**state, "input": deeper, "metadata": deeper}
        session = factories.apply(session, {"type": "part", "data": data})
        part = session.parts.get()
        for reading in (Reading(session), Reading(session, mask, masked=True)):
            html = str(part_html(reading, part, role="assistant", whole=True))
            assert "could not be shown" not in html


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="<>\"'`*_[]()!#|-\n abc:/=javscript&;", max_size=80))
def test_markdown_leaves_nothing_that_runs(text: str) -> None:
    import nh3

    html = str(markdown(text))
    assert "<script" not in html.lower()
    links = nh3.clean(html, tags={"a"}, attributes={"a": {"href"}}, link_rel=None)
    for piece in links.split('href="')[1:]:
        assert piece.startswith(("http://", "https://", "mailto:"))
