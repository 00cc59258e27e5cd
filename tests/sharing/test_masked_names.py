"""Names that lead into a home directory, in the places beside the conversation."""

import pytest
from django.test import Client

from project.accounts.models import User
from sessions_app import changes, ingest
from sessions_app.models import Session
from tests import factories

pytestmark = pytest.mark.django_db


def test_readers_see_no_home_in_models_or_in_the_names_of_downloads(alice: User, client: Client) -> None:
    session = Session.objects.create(owner=alice, source="opencode", external_id="m", shared=True)
    items = [
        factories.session_item(title="Fix /home/ada/hidden thing"),
        factories.user_message("msg_1"),
        factories.assistant_message("msg_2", modelID="/home/ada/models/q.gguf"),
        factories.text_part("prt_2", "msg_2", "Done."),
    ]
    ingest.apply(session, [change for item in items for change in changes.from_item(item)])
    share = f"/share/{session.share_id}"
    for address in (share, f"{share}/info", f"{share}.md", f"/api{share}/metadata"):
        answer = client.get(address)
        assert answer.status_code == 200
        assert "/home/ada" not in answer.content.decode() and "q.gguf" in answer.content.decode(), address
    for ending in ("md", "json"):
        head = client.get(f"{share}.{ending}?download")["Content-Disposition"]
        assert "homeada" not in head and head.endswith(f'hidden_thing.{ending}"'), head


@pytest.mark.parametrize(("title", "name"), [("???", "session"), ("..", "session"), ("a b.c", "a_b.c")])
def test_a_download_has_a_name_whatever_the_title(alice: User, client: Client, title: str, name: str) -> None:
    session = Session.objects.create(
        owner=alice, source="opencode", external_id="m", shared=True, title=title
    )
    head = client.get(f"/share/{session.share_id}.md?download")["Content-Disposition"]
    assert head == f'attachment; filename="{name}.md"'
