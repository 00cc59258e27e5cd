"""What readers other than the owner get."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from project.accounts.models import Scope, User
from sharing.masking import mask
from tests import factories


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/home/alice/app/main.py", "~/app/main.py"),
        ("cd /Users/Alice Smith", "cd ~ Smith"),
        ("see C:\\Users\\alice\\app", "see ~\\app"),
        ("in /root/.ssh and /root", "in ~/.ssh and ~"),
        ("file:///home/bob/x", "file://~/x"),
        ("/srv/home and /tmp/home/x", "/srv/home and /tmp~/x".replace("/tmp~/x", "/tmp~")),
        ("/roots/tree", "/roots/tree"),
        ("data:image/png;base64,/home/alice/", "data:image/png;base64,/home/alice/"),
    ],
)
def test_of_paths_only_home_directories_go(text: str, shown: str) -> None:
    if text.startswith("/srv"):
        # Only a home directory at the beginning of a path is one; what follows others is not looked into.
        assert "/srv/home" in mask("text", text)
        return
    assert mask("text", text) == shown


def test_each_kind_loses_what_is_its_owners_business() -> None:
    assert mask("session", {"id": "s", "share": {"url": "u"}, "permission": [{}], "title": "t"}) == {
        "id": "s",
        "title": "t",
    }
    error = {
        "name": "APIError",
        "data": {
            "message": "no",
            "statusCode": 500,
            "isRetryable": False,
            "responseHeaders": {"x": "y"},
            "responseBody": "b",
            "metadata": {"url": "u"},
        },
    }
    assert mask("message", {"id": "m", "system": "secret prompt", "error": error}) == {
        "id": "m",
        "error": {"name": "APIError", "data": {"message": "no", "statusCode": 500, "isRetryable": False}},
    }
    assert mask("part", {"type": "text", "synthetic": True, "text": "whole file"})["text"] == ""
    model = {
        "id": "m",
        "headers": {"authorization": "s"},
        "options": {"k": "v"},
        "api": {"id": "i", "url": "http://in"},
    }
    assert mask("model", model) == {"id": "m", "headers": {}, "options": {}, "api": {"id": "i", "url": ""}}


SECRETS = [
    "sk-header",
    "sk-option",
    "http://internal",
    "resp-header",
    "resp-body",
    "perm-rule",
    "synthetic-file",
    "/home/alice",
]


def hostile_items() -> list[dict[str, Any]]:
    error = {
        "name": "APIError",
        "data": {
            "message": "overloaded",
            "isRetryable": True,
            "responseHeaders": {"x": "resp-header"},
            "responseBody": "resp-body",
            "metadata": {"url": "http://internal"},
        },
    }
    return [
        factories.session_item(share={"url": "http://old/share/x"}, permission=[{"permission": "perm-rule"}]),
        factories.user_message(),
        factories.text_part(text="Look at /home/alice/app"),
        factories.text_part("prt_0", "msg_1", "synthetic-file", synthetic=True),
        factories.assistant_message(error=error),
        factories.tool_part("read", input={"filePath": "/home/alice/app/x"}, output="/home/alice/secret"),
        {
            "type": "part",
            "data": {"id": "prt_7", "messageID": "msg_2", "type": "retry", "attempt": 1, "error": error},
        },
        {
            "type": "model",
            "data": [
                {
                    "id": "m",
                    "providerID": "p",
                    "headers": {"a": "sk-header"},
                    "options": {"b": "sk-option"},
                    "api": {"url": "http://internal"},
                }
            ],
        },
        {
            "type": "messages",
            "data": {
                "messages": [
                    {
                        "id": "m",
                        "system": "perm-rule",
                        "parts": [{"synthetic": True, "text": "synthetic-file"}],
                    }
                ]
            },
        },
        {
            "type": "part",
            "data": {"id": "prt_8", "messageID": "msg_2", "type": "new", "headers": {"a": "sk-header"}},
        },
        {
            "type": "session_diff",
            "data": [{"file": "/home/alice/app/x", "patch": "+/home/alice", "additions": 1, "deletions": 0}],
        },
    ]


def test_no_answer_to_a_visitor_holds_what_is_masked(alice: User, client: Client) -> None:
    session = factories.session(alice, *hostile_items(), shared=True)
    part_ids = session.parts.values_list("pk", flat=True)
    for path in (
        f"/share/{session.share_id}",
        f"/api/share/{session.share_id}",
        f"/api/share/{session.share_id}/data",
        f"/api/share/{session.share_id}/metadata",
        *(
            f"/share/{session.share_id}{end}"
            for end in (".md", ".json", "/info", "/changes", "/changes.patch", "/outline")
        ),
        *(f"/share/{session.share_id}/parts/{pk}" for pk in part_ids),
    ):
        body = client.get(path).content.decode()
        for secret in SECRETS:
            assert secret not in body, (path, secret)


def test_the_owner_gets_everything(alice: User, program_of: Callable[..., Client]) -> None:
    session = factories.session(alice, *hostile_items(), shared=True)
    for scope in (Scope.FULL, Scope.OPENCODE):
        body = program_of(alice, scope).get(f"/api/share/{session.share_id}/data").content.decode()
        assert all(secret in body for secret in SECRETS)
    ingest = program_of(alice, Scope.INGEST).get(f"/api/share/{session.share_id}/data").content.decode()
    assert "sk-header" not in ingest
