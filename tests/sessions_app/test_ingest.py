"""The one write path: whatever comes in whatever order ends as a plain merge in memory would."""

import asyncio
import copy
import threading
from typing import Any

import pytest
from channels.layers import get_channel_layer
from django.db import connection
from django.db.models import Sum
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase, TransactionTestCase

from sessions_app import acts, hints
from sessions_app.models import FileDiff, Message, Part, Session
from sessions_app.reading import Reading
from tests import factories
from tests.recordings import merge, merged

IDS = st.sampled_from(["a", "b", "c", "B", "ä"])
TEXT = st.text(max_size=12)
COUNTS = st.one_of(st.integers(-5, 10**14), st.just(1.5), st.just(None), st.just("9"), st.just(True))


def diff(file: str) -> st.SearchStrategy[dict[str, Any]]:
    patch = {
        "file": st.just(file),
        "patch": TEXT,
        "additions": st.integers(0, 9),
        "deletions": st.integers(0, 9),
    }
    whole = {
        "file": st.just(file),
        "before": TEXT,
        "after": TEXT,
        "additions": st.integers(0, 9),
        "deletions": st.integers(0, 9),
    }
    return st.one_of(st.fixed_dictionaries(patch), st.fixed_dictionaries(whole))


DIFFS = st.lists(st.sampled_from(["x.py", "y.py", "z.py"]).flatmap(diff), max_size=4)
ITEMS = st.one_of(
    st.builds(lambda title: factories.session_item(title=title), TEXT),
    st.builds(lambda id, diffs: factories.user_message(id, summary={"diffs": diffs}), IDS, DIFFS),
    st.builds(
        lambda id, cost, count: factories.assistant_message(
            id, cost=cost, tokens={"input": count, "output": 2, "cache": {"read": count}}
        ),
        IDS,
        st.floats(allow_nan=False, allow_infinity=False) | st.none(),
        COUNTS,
    ),
    st.builds(factories.text_part, IDS, IDS, TEXT),
    st.builds(lambda data: {"type": "session_diff", "data": data}, DIFFS),
    st.builds(
        lambda id, provider, name: {
            "type": "model",
            "data": [{"id": id, "providerID": provider, "name": name}],
        },
        IDS,
        st.sampled_from(["p", "q"]),
        TEXT,
    ),
    st.builds(lambda id, value: {"type": "novelty", "data": {"id": id, "value": value}}, IDS, TEXT),
    st.builds(lambda value: {"type": "mood", "data": value}, st.none() | TEXT | st.integers()),
)
BATCHES = st.lists(st.lists(ITEMS, max_size=6), max_size=6)


def held(session: Session) -> list[dict[str, Any]]:
    return [{"type": kind, "data": data} for kind, data in Reading(session).items()]


def check_totals(session: Session) -> None:
    """Every total on the session equals what a count over its rows gives."""
    session.refresh_from_db()
    assert session.messages_count == session.messages.count()
    assert session.parts_count == session.parts.count()
    for name in (
        "tokens_input",
        "tokens_output",
        "tokens_reasoning",
        "tokens_cache_read",
        "tokens_cache_write",
        "cost_nano",
    ):
        assert getattr(session, name) == (session.messages.aggregate(total=Sum(name))["total"] or 0), name
    turns = FileDiff.objects.filter(session=session, message__isnull=False)
    assert session.turn_files == turns.values("file").distinct().count()
    assert session.turn_additions == (turns.aggregate(total=Sum("additions"))["total"] or 0)
    whole = FileDiff.objects.filter(session=session, message=None)
    if whole.exists():
        assert session.files == whole.count()
        assert session.deletions == whole.aggregate(total=Sum("deletions"))["total"]
    else:
        assert (session.files, session.additions) == (session.turn_files, session.turn_additions)


class AnyOrder(TestCase):
    @settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
    @given(batches=BATCHES)
    def test_any_batches_end_as_a_plain_merge_does(self, batches: list[list[dict[str, Any]]]) -> None:
        session = Session.objects.create(owner=None, external_id="s")
        state: dict[str, dict[str, Any]] = {}
        for batch in batches:
            merge(state, copy.deepcopy(batch))
            factories.apply(session, *batch)
        session.refresh_from_db()
        assert held(session) == merged(state)
        assert session.revision == len(batches)
        check_totals(session)

    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
    @given(batches=BATCHES, data=st.data())
    def test_how_items_are_batched_makes_no_difference(
        self, batches: list[list[dict[str, Any]]], data: st.DataObject
    ) -> None:
        items = [item for batch in batches for item in batch]
        one = Session.objects.create(owner=None, external_id="one")
        other = Session.objects.create(owner=None, external_id="other")
        factories.apply(one, *items)
        cut = data.draw(st.integers(0, len(items)))
        # The first batch comes twice, as from a client that did not hear the answer.
        for batch in (items[:cut], items[:cut], items[cut:]):
            factories.apply(other, *batch)
        one.refresh_from_db()
        other.refresh_from_db()
        if cut == len(items) or cut == 0:
            assert held(one) == held(other)
        check_totals(one)
        check_totals(other)


class TwoWriters(TransactionTestCase):
    def test_two_writers_at_once_lose_nothing(self) -> None:
        session = Session.objects.create(owner=None, external_id="s")
        errors: list[Exception] = []

        def write(name: str) -> None:
            try:
                for number in range(20):
                    factories.apply(
                        session,
                        factories.assistant_message(f"msg_{number}"),
                        factories.text_part(f"prt_{name}{number}", f"msg_{number}", name),
                    )
            except Exception as error:
                errors.append(error)
            finally:
                connection.close()

        writers = [threading.Thread(target=write, args=(name,)) for name in ("x", "y")]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        assert errors == []
        session.refresh_from_db()
        assert session.revision == 40
        assert Part.objects.count() == 40 and Message.objects.count() == 20
        check_totals(session)


def test_a_part_may_come_before_its_message(alice: Any) -> None:
    session = factories.session(alice, factories.text_part("prt_1", "msg_9", "early"))
    assert (session.messages_count, session.parts_count) == (1, 1)
    assert not Reading(session).messages().exists()
    session = factories.apply(session, factories.user_message("msg_9"))
    message = Reading(session).messages().get()
    assert [part.data["text"] for part in message.parts.all()] == ["early"]
    assert session.messages_count == 1


def test_the_same_part_id_in_two_messages_is_two_parts(alice: Any) -> None:
    session = factories.session(
        alice,
        factories.user_message("m1"),
        factories.user_message("m2"),
        factories.text_part("p", "m1", "one"),
        factories.text_part("p", "m2", "two"),
    )
    assert session.parts_count == 2


def test_every_row_bears_the_revision_that_wrote_it(alice: Any) -> None:
    session = factories.session(alice)
    session = factories.apply(session, factories.text_part("prt_1", text="changed"))
    assert {part.external_id: part.revision for part in session.parts.all()} == {"prt_1": 2, "prt_3": 1}


def test_a_title_of_the_owners_own_outlives_syncs(alice: Any) -> None:
    session = acts.update(factories.session(alice), title="  My\nown title ")
    session = factories.apply(session, factories.session_item(title="Theirs"))
    assert session.title == "My own title"
    assert acts.update(session, title="").title == "Theirs"


def test_a_clock_ahead_of_ours_does_not_hold_a_session_on_top(alice: Any) -> None:
    from django.utils import timezone

    session = factories.session(
        alice, factories.session_item(time={"created": 1, "updated": 4_102_444_799_000})
    )
    assert session.updated_at <= timezone.now()


@pytest.mark.parametrize("parts", [100, 1000])
def test_the_cost_of_a_batch_does_not_follow_the_session(
    alice: Any, parts: int, django_assert_max_num_queries: Any
) -> None:
    session = factories.session(
        alice, *(factories.text_part(f"prt_{n}", "msg_1") for n in range(parts)), factories.user_message()
    )
    batch = [factories.text_part(f"prt_x{n}", "msg_1") for n in range(50)]
    with django_assert_max_num_queries(8):
        factories.apply(session, *batch)


def test_a_hint_follows_the_commit(
    alice: Any, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    session = factories.session(alice)
    announced: list[tuple[str, int]] = []
    monkeypatch.setattr(hints, "announce", lambda kind, row: announced.append((kind, row.revision)))
    with django_capture_on_commit_callbacks(execute=True):
        acts.update(session, shared=True)
        factories.apply(session, factories.text_part("prt_9", "msg_2"))
        assert announced == []
    assert announced == [(hints.UPDATED, 2), (hints.UPDATED, 3)]


def test_a_hint_reaches_those_who_watch_the_session_and_its_owners_list(alice: Any) -> None:
    session = factories.session(alice)
    groups = [hints.session_group(session.pk), hints.owner_group(alice.pk)]

    async def watch() -> list[dict[str, Any]]:
        layer = get_channel_layer()
        channels = [await layer.new_channel() for _ in groups]
        for group, channel in zip(groups, channels, strict=True):
            await layer.group_add(group, channel)
        hints.use_loop(asyncio.get_running_loop())
        # As from a request's thread, while the server's loop waits.
        await asyncio.to_thread(hints.announce, hints.UPDATED, session)
        return [await asyncio.wait_for(layer.receive(channel), 5) for channel in channels]

    received: list[dict[str, Any]] = []
    thread = threading.Thread(target=lambda: received.extend(asyncio.run(watch())))
    thread.start()
    thread.join()
    hint = {"type": "session-updated", "id": str(session.pk), "revision": 1, "owner": alice.pk}
    assert received == [hint] * 2
