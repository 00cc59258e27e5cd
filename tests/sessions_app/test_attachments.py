"""Files that stand in a session: a page leads to them, and holds none of their bytes."""

import base64
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from project.accounts.models import User
from sessions_app.models import Session
from tests import factories

BYTES = base64.b64decode(factories.PICTURE)


def session_with(alice: User, *files: dict[str, Any]) -> Session:
    attachments = [
        {"type": "file", "mime": file["mime"], "filename": file.get("filename"), "url": file["url"]}
        for file in files
    ]
    return factories.session(
        alice,
        *factories.conversation(),
        factories.file_part(),
        factories.tool_part("read", id="prt_t", attachments=attachments),
        shared=True,
    )


def addresses(session: Session, kind: str = "tool") -> str:
    part = session.parts.get(kind=kind) if kind == "file" else session.parts.get(external_id="prt_t")
    return f"/share/{session.share_id}/parts/{part.pk}/files"


def test_a_picture_is_had_from_an_address_of_its_own(
    alice: User, browser_of: Callable[[User], Client]
) -> None:
    session = session_with(alice)
    page = Client().get(f"/share/{session.share_id}").content.decode()
    address = f"{addresses(session, 'file')}/0"
    assert f'src="{address}"' in page and factories.PICTURE not in page
    answer = Client().get(address)
    assert answer.content == BYTES and answer["Content-Type"] == "image/png"
    assert answer["Content-Security-Policy"] == "sandbox; default-src 'none'"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert (
        browser_of(alice)
        .get(address.replace(f"/share/{session.share_id}", f"/sessions/{session.pk}"))
        .content
        == BYTES
    )


@pytest.mark.parametrize(
    ("file", "content", "name"),
    [
        ({"mime": "text/html", "filename": "a b/é.html", "url": "data:text/html;base64,PHNjcmlwdD4="}, b"<script>", "_.html"),
        ({"mime": "image/svg+xml", "url": "data:image/svg+xml,%3Csvg/%3E"}, b"<svg/>", "attachment"),
        ({"mime": "text/plain", "filename": '"\r\n../..', "url": "data:,hi%20there"}, b"hi there", "attachment"),
    ],
)  # fmt: skip
def test_what_is_no_picture_is_saved_and_never_shown(
    alice: User, file: dict[str, Any], content: bytes, name: str
) -> None:
    session = session_with(
        alice, {"mime": "image/png", "url": f"data:image/png;base64,{factories.PICTURE}"}, file
    )
    answer = Client().get(f"{addresses(session)}/1")
    assert answer.content == content
    assert answer["Content-Type"] == "application/octet-stream"
    assert answer["Content-Disposition"] == f'attachment; filename="{name}"'


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "data:image/png;base64,!", "data:image/png", "", None, 7]
)
def test_what_is_elsewhere_or_broken_is_not_found(alice: User, url: Any) -> None:
    session = session_with(alice, {"mime": "image/png", "url": url})
    assert Client().get(f"{addresses(session)}/0").status_code == 404
    assert Client().get(f"{addresses(session)}/1").status_code == 404
    assert Client().get(f"/share/{session.share_id}").status_code == 200
