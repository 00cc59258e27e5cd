"""Reading: a long session to its end, to the one place that one looks for, and back."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests import factories
from tests.browser.conftest import at_rest, in_both_views, overflow, until, violations
from tests.components import once
from tests.server import Server

# What the pages ask of the database is asked on PostgreSQL, too, by the tests of sessions_app.
pytestmark = once
SignedIn = Callable[..., BrowserContext]
PROMPTS = 1000
PER_PROMPT = 5


def long_session() -> list[dict[str, Any]]:
    """5,000 messages: a thousand prompts, each with four answers, two of which only call tools."""
    items: list[dict[str, Any]] = [factories.session_item(id="ses_long", title="A long session")]
    for prompt in range(1, PROMPTS + 1):
        base = factories.T0 + prompt * 1000
        ids = [f"msg_{prompt:05}_{n}" for n in range(PER_PROMPT)]
        items.append(factories.user_message(ids[0], time={"created": base}))
        items.append(factories.text_part(f"prt_{prompt:05}_0", ids[0], f"Prompt number {prompt}"))
        for n in range(1, PER_PROMPT):
            items.append(factories.assistant_message(ids[n], time={"created": base + n}))
            if n in (1, 2):
                items.append(
                    factories.tool_part(
                        "bash", f"prt_{prompt:05}_{n}", ids[n], {"command": f"echo {prompt}"}, output="ok"
                    )
                )
            else:
                items.append(
                    factories.text_part(
                        f"prt_{prompt:05}_{n}", ids[n], f"Answer {prompt}.{n}: some *prose* about it."
                    )
                )
    return items


@pytest.fixture(scope="module")
def long(server: Server) -> Iterator[dict[str, Any]]:
    with server.client(server.tokens["alice"]) as client:
        made = client.post("/api/share", json={"sessionID": "ses_long"}).json()
        body = {"secret": made["secret"], "data": long_session()}
        assert client.post(f"/api/share/{made['id']}/sync", json=body).status_code == 200
        rows = client.get("/api/sessions").json()["items"]
        yield next(row for row in rows if row["external_id"] == "ses_long")


def open_page(
    signed_in: SignedIn, row: dict[str, Any], width: int = 1280, scheme: str = "light", **options: Any
) -> Page:
    page = signed_in(
        "alice", viewport={"width": width, "height": 900}, color_scheme=scheme, **options
    ).new_page()
    page.goto(f"/sessions/{row['id']}")
    return page


def in_view(page: Page, element_id: str) -> bool:
    return bool(
        page.evaluate(
            "(id) => { const box = document.getElementById(id)?.getBoundingClientRect(); return box && box.top > -5 && box.top < innerHeight; }",
            element_id,
        )
    )


@in_both_views
def test_five_thousand_messages_are_read_to_the_end_by_scrolling(
    signed_in: SignedIn, long: dict[str, Any], width: int, scheme: str
) -> None:
    page = open_page(signed_in, long, width, scheme)
    page.wait_for_function("window.htmx")
    # Within the page: asking it from outside takes longer than the scrolling.
    page.evaluate("""async () => {
      for (let times = 0; times < 2000; times += 1) {
        scrollTo(0, document.documentElement.scrollHeight);
        await new Promise((done) => setTimeout(done, 100));
        if (!document.querySelector("[data-window=after], .htmx-request")) return;
      }
    }""")
    expect(page.locator(f"#msg_{PROMPTS:05}_0")).to_be_attached()
    assert page.locator(".message.user").count() == PROMPTS
    page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    expect(page.get_by_text(f"Answer {PROMPTS}.4")).to_be_in_viewport()


@in_both_views
def test_the_outline_leads_to_prompt_400_which_is_not_loaded(
    signed_in: SignedIn, long: dict[str, Any], width: int, scheme: str
) -> None:
    page = open_page(signed_in, long, width, scheme)
    if width < 900:
        page.get_by_role("link", name="Outline").click()
    link = page.locator(".prompts:visible [data-prompt=msg_00400_0]")
    for _ in range(600):
        if link.count():
            break
        page.evaluate(
            "document.querySelectorAll('.outline, #outline-sheet').forEach((box) => box.scrollTo(0, box.scrollHeight))"
        )
        page.wait_for_timeout(100)
    link.click()
    page.wait_for_url("**at=msg_00400_0**")
    expect(page.get_by_text("Prompt number 400", exact=True).and_(page.locator(".typed"))).to_be_visible()
    until(page, lambda: in_view(page, "msg_00400_0"))
    assert overflow(page) <= 0


def test_the_current_prompt_is_marked_in_the_outline(signed_in: SignedIn, long: dict[str, Any]) -> None:
    page = open_page(signed_in, long)
    page.locator("[data-prompt=msg_00005_0]").first.click()
    expect(page.locator(".outline [data-prompt=msg_00005_0]")).to_have_attribute("aria-current", "true")
    until(page, lambda: in_view(page, "msg_00005_0"))


def test_the_outline_goes_along_beyond_what_it_began_with(signed_in: SignedIn, long: dict[str, Any]) -> None:
    page = open_page(signed_in, long)
    page.goto(f"/sessions/{long['id']}?at=msg_00400_0#msg_00400_0")
    expect(page.locator(".outline [data-prompt=msg_00520_0]")).to_have_count(0)
    for _ in range(1000):
        page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
        page.wait_for_timeout(50)
        if page.locator("#msg_00520_0").count():
            break
    page.locator("#msg_00520_0").scroll_into_view_if_needed()
    expect(page.locator(".outline [aria-current]")).to_be_in_viewport()
    assert "msg_005" in str(page.locator(".outline [aria-current]").get_attribute("data-prompt"))


def test_the_phones_outline_opens_where_one_reads(signed_in: SignedIn, long: dict[str, Any]) -> None:
    page = open_page(signed_in, long, 390)
    page.goto(f"/sessions/{long['id']}?at=msg_00400_0#msg_00400_0")
    before = at_rest(page, "scrollY")
    page.get_by_role("link", name="Outline").click()
    current = page.locator("#outline-sheet [data-prompt=msg_00400_0]")
    expect(current).to_have_attribute("aria-current", "true")
    expect(current).to_be_in_viewport()
    # Neither going to the header nor the sheet moves the page.
    assert at_rest(page, "scrollY") == before > 0
    page.keyboard.press("Escape")
    assert at_rest(page, "scrollY") == before


def test_the_outline_goes_on_upwards(signed_in: SignedIn, long: dict[str, Any]) -> None:
    page = open_page(signed_in, long)
    page.goto(f"/sessions/{long['id']}?at=msg_00400_0#msg_00400_0")
    for _ in range(600):
        page.evaluate("scrollBy(0, -2000)")
        page.wait_for_timeout(100)
        if page.locator(".outline [data-prompt=msg_00370_0]").count():
            break
    expect(page.locator(".outline [aria-current]")).to_have_count(1)
    expect(page.locator(".outline [data-prompt=msg_00370_0]")).to_have_count(1)
    # No more of them than one came to.
    expect(page.locator(".outline [data-prompt=msg_00100_0]")).to_have_count(0)


@in_both_views
def test_an_anchor_to_a_tool_call_opens_its_fold(
    signed_in: SignedIn, long: dict[str, Any], width: int, scheme: str
) -> None:
    page = open_page(signed_in, long, width, scheme)
    page.goto(f"/sessions/{long['id']}?at=msg_00700_2#prt_00700_2")
    expect(page.locator("#prt_00700_2 > summary")).to_be_visible()
    until(page, lambda: in_view(page, "prt_00700_2"))


def test_what_one_reads_stays_in_place_when_earlier_messages_load(
    signed_in: SignedIn, long: dict[str, Any]
) -> None:
    page = open_page(signed_in, long)
    page.goto(f"/sessions/{long['id']}?at=msg_00500_0#msg_00500_0")
    until(page, lambda: in_view(page, "msg_00500_0"))
    first = page.locator(".turn").first.get_attribute("data-turn")
    page.evaluate("document.querySelector('[data-window=before]').scrollIntoView()")
    page.wait_for_function("(first) => document.querySelector('.turn').dataset.turn !== first", arg=first)
    # The turn that was on top is still in the window; nothing jumped to the new beginning.
    assert at_rest(page, f"document.querySelector(`[data-turn='{first}']`).getBoundingClientRect().top") < 900
    assert page.evaluate("scrollY") > 500


@in_both_views
def test_find_counts_and_jumps_over_the_whole_session(
    signed_in: SignedIn, long: dict[str, Any], width: int, scheme: str
) -> None:
    page = open_page(signed_in, long, width, scheme)
    if width < 600:
        page.get_by_role("link", name="Find").click()
        page.get_by_label("Find in session").fill("number 777")
    else:
        page.keyboard.press("/")
        expect(page.get_by_label("Find in session")).to_be_focused()
        page.keyboard.type("number 777")
    page.keyboard.press("Enter")
    expect(page.get_by_text("1 hit in 1 place")).to_be_visible()
    page.locator(".found li a").click()
    page.wait_for_url("**at=msg_00777_0**")
    expect(page.locator("#msg_00777_0")).to_be_visible()
    until(page, lambda: in_view(page, "msg_00777_0"))
    until(page, lambda: page.evaluate("CSS.highlights.get('found')?.size") == 1)
    # What was found is still at hand, for the next place.
    expect(page.locator(".found li a")).to_be_in_viewport()
    assert violations(page) == [] and overflow(page) <= 0


def test_what_is_found_from_the_midst_of_a_session_is_seen(signed_in: SignedIn, long: dict[str, Any]) -> None:
    page = open_page(signed_in, long)
    page.goto(f"/sessions/{long['id']}?at=msg_00500_0#msg_00500_0")
    page.keyboard.press("/")
    page.keyboard.type("number 50")
    page.keyboard.press("Enter")
    expect(page.locator(".found header")).to_be_in_viewport()
    page.locator(".found li a", has_text="number 501").click()
    until(page, lambda: in_view(page, "msg_00501_0"))


def test_keys_lead_from_prompt_to_prompt_and_can_be_switched_off(
    signed_in: SignedIn, long: dict[str, Any]
) -> None:
    page = open_page(signed_in, long)
    for key, prompt in (("j", 1), ("j", 2), ("j", 3), ("k", 2), ("k", 1)):
        page.keyboard.press(key)
        # Under the header, and the focus with it.
        top = at_rest(page, f"document.querySelector('#msg_0000{prompt}_0').getBoundingClientRect().top")
        assert 100 < top < 140, (key, prompt, top)
        assert page.evaluate("document.activeElement.id") == f"msg_0000{prompt}_0"
    page.keyboard.press("e")
    assert page.locator("details.steps[open]").count() > 0
    page.keyboard.press("?")
    page.get_by_label("Single-letter keys are on").uncheck()
    page.keyboard.press("Escape")
    before = at_rest(page, "scrollY")
    page.keyboard.press("j")
    assert at_rest(page, "scrollY") == before
    # One reads on where one was.
    assert page.evaluate("document.activeElement.id") == "msg_00001_0"


def test_words_that_are_bold_in_part_are_marked_where_they_stand(signed_in: SignedIn, shared: Any) -> None:
    items = [
        *factories.conversation(),
        factories.text_part(
            "prt_9", "msg_2", "Far below:\n\n" + "line\n\n" * 60 + "some **bold** words (here)"
        ),
    ]
    page = open_page(signed_in, shared(items, session_id="ses_bold"))
    page.keyboard.press("/")
    page.keyboard.type("some bold words (here)")
    page.keyboard.press("Enter")
    page.locator(".found li a").click()
    expect(page.get_by_text("words (here)").last).to_be_in_viewport()
    marked = "[...(CSS.highlights.get('found') ?? [])].map(String)"
    until(page, lambda: page.evaluate(marked) == ["some bold words (here)"])


def test_every_part_in_which_words_stand_is_gone_to(signed_in: SignedIn, shared: Any) -> None:
    far = "line\n\n" * 60
    items = [
        *factories.conversation(),
        factories.text_part("prt_8", "msg_2", f"The first needle\n\n{far}"),
        factories.text_part("prt_9", "msg_2", f"{far}The second needle"),
    ]
    page = open_page(signed_in, shared(items, session_id="ses_needles"))
    page.keyboard.press("/")
    page.keyboard.type("needle")
    page.keyboard.press("Enter")
    expect(page.get_by_text("2 hits in 2 places")).to_be_visible()
    for hit, said in ((1, "The second needle"), (0, "The first needle")):
        page.locator(".found li a").nth(hit).click()
        expect(page.locator(".message").get_by_text(said)).to_be_in_viewport()


def test_steps_fold_to_one_line_that_says_them(signed_in: SignedIn, long: dict[str, Any]) -> None:
    page = open_page(signed_in, long)
    expect(page.locator("details.steps > summary").first).to_contain_text("2 steps · ran 2 commands · 3.0 s")


def test_copying(signed_in: SignedIn, long: dict[str, Any], shared: Any) -> None:
    items = [
        factories.session_item(),
        factories.user_message(),
        factories.assistant_message(),
        factories.text_part("p", "msg_2", "```python\nprint(1)\n```"),
    ]
    row = shared(items, session_id="ses_copy")
    page = open_page(signed_in, row)
    page.locator(".code").hover()
    page.locator(".copy-code").click()
    expect(page.locator(".copy-code")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == "print(1)\n"
    page.locator("summary", has_text="More").click()
    page.get_by_role("button", name="Copy as Markdown").click()
    expect(page.locator("[data-copy-text]")).to_have_text("Copied")
    assert "```python" in page.evaluate("navigator.clipboard.readText()")


def test_reading_works_without_javascript(signed_in: SignedIn, long: dict[str, Any]) -> None:
    page = open_page(signed_in, long, java_script_enabled=False)
    page.get_by_role("link", name="Later messages").click()
    expect(page.get_by_text("Prompt number 11", exact=True)).to_be_visible()
    page.get_by_role("link", name="Earlier messages").click()
    expect(page.get_by_text("Prompt number 1", exact=True)).to_be_visible()
    page.locator("details.steps > summary").first.click()
    page.locator("details.card > summary").first.click()
    expect(page.get_by_text("$ echo 1", exact=True).first).to_be_visible()
    page.get_by_role("link", name="All prompts").click()
    page.get_by_role("link", name="100 Prompt number 100").click()
    expect(page.get_by_text("Prompt number 100", exact=True).and_(page.locator(".typed"))).to_be_visible()
    page.get_by_label("Find in session").fill("number 321")
    page.keyboard.press("Enter")
    expect(page.get_by_text("1 hit in 1 place")).to_be_visible()
