"""Find in session: what one reads is found, and nothing else."""

from collections.abc import Callable

import pytest
from django.test import Client

from project.accounts.models import User
from tests import factories

Browsers = Callable[[User], Client]


@pytest.mark.parametrize(
    ("words", "count"),
    [
        ("a bold word, code_like and linked", 1),
        ("bold WORD", 1),
        ("**bold**", 0),
        ("example.org", 0),
        ("two lines", 1),
        ("red alert", 1),
        ("[31m", 0),
        ("seen = 1", 1),
        ("newString", 0),
        ("messageID", 0),
        ("slack · post", 1),
        ("channel", 1),
        ("src/app.py", 1),
        ("sub agent said", 1),
        ("“quoted” \\ text", 1),
        # A prompt stands as it was typed.
        ("__init__", 1),
        ("rename init", 0),
        ("foobar", 1),
        ("日本", 1),
        ("Deployed to staging", 1),
    ],
)
def test_what_is_searched_is_what_one_reads(
    alice: User, browser_of: Browsers, words: str, count: int
) -> None:
    changed = {"diff": "--- a\n+++ a\n@@ -1 +1 @@\n-old\n+seen = 1\n"}
    session = factories.session(
        alice,
        *factories.conversation(),
        factories.text_part(
            "prt_3", "msg_2", "A **bold** word, `code_like` and [linked](https://example.org).\n\nTwo\nlines"
        ),
        factories.tool_part("bash", "prt_4", input={"command": "make"}, output="\x1b[31mred\x1b[0m alert"),
        factories.tool_part(
            "edit",
            "prt_5",
            input={"filePath": "/home/alice/app/src/app.py", "newString": "seen = 1"},
            metadata=changed,
        ),
        factories.text_part("prt_31", "msg_1", "rename `__init__` of 日本"),
        factories.tool_part("grep", "prt_8", output="\x1b[01;31m\x1b[Kfoo\x1b[m\x1b[Kbar"),
        factories.tool_part("deploy", "prt_9", title="Deployed to staging"),
        factories.tool_part("slack__post", "prt_6", input={"channel": "a"}, output="“quoted” \\ text"),
        factories.tool_part("task", "prt_7", input={"description": "look"}, output="sub *agent* said"),
    )
    found = browser_of(alice).get(f"/sessions/{session.pk}/find", {"q": words}).context["found"]
    assert found.count == count


def test_find_finds_what_error_cards_say_and_no_headers(alice: User, browser_of: Browsers) -> None:
    error = {
        "name": "APIError",
        "data": {"message": "Out of quota", "statusCode": 429, "responseHeaders": {"x-quota-left": "none"}},
    }
    retry = {"type": "retry", "attempt": 1, "error": error}
    session = factories.session(
        alice,
        *factories.conversation(),
        factories.assistant_message("msg_9", error=error),
        {"type": "part", "data": {"id": "prt_retry", "messageID": "msg_9", "sessionID": "ses_1", **retry}},
    )
    own = browser_of(alice)
    found = own.get(f"/sessions/{session.pk}/find", {"q": "out of QUOTA"}).context["found"]
    assert [hit.where for hit in found.hits] == ["opencode · retry", "opencode · Error"]
    assert own.get(f"/sessions/{session.pk}/find", {"q": "x-quota"}).context["found"].count == 0


def test_what_was_found_stays_on_the_page_that_a_hit_leads_to(alice: User, browser_of: Browsers) -> None:
    session = factories.session(alice, *factories.conversation())
    page = browser_of(alice).get(f"/sessions/{session.pk}?at=msg_1&q=greet").content.decode()
    assert page.count("data-goes-to") == 2 and 'value="greet"' in page


def test_find_sees_what_a_reader_sees(alice: User, browser_of: Browsers, client: Client) -> None:
    session = factories.session(
        alice,
        *factories.conversation(),
        factories.text_part("prt_9", "msg_2", "in /home/alice/app: Überall"),
        shared=True,
    )
    own = browser_of(alice)

    def hits(who: Client, base: str, words: str) -> int:
        return int(who.get(f"{base}/find", {"q": words}).context["found"].count)

    for base, who, expected in (
        (f"/sessions/{session.pk}", own, 1),
        (f"/share/{session.share_id}", client, 0),
    ):
        assert hits(who, base, "/home/ALICE") == expected
        assert hits(who, base, "überall") == 1
        assert hits(who, base, "greet") == 2
        assert hits(who, base, "nowhere") == 0
        assert hits(who, base, "") == 0
    assert hits(client, f"/share/{session.share_id}", "~/app") == 1
