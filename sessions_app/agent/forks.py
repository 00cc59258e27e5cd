"""A session goes on from one of its messages in a new one, wherever it ran before."""

from typing import Any

from django.db import transaction
from django.db.models import Q

from sessions_app import changes, ingest
from sessions_app.agent import choices, ids, turns
from sessions_app.agent.models import AgentSettings
from sessions_app.changes import Change
from sessions_app.models import Part, Session, Status
from sessions_app.reading import Reading
from sessions_app.render.tool import obj


def fork(session: Session, owner: Any, directory: str, *, last: str = "") -> Session:
    """A new session of Gander's own agent with the messages of another up to ``last``, all of them where that is empty.

    Raises:
        Session.DoesNotExist: the session has no such message.
    """
    rows = session.messages.filter(placeholder=False)
    if last:
        end = rows.filter(external_id=last).first()
        if end is None:
            raise Session.DoesNotExist
        same = Q(created_at=end.created_at, external_id__lte=end.external_id)
        rows = rows.filter(same | Q(created_at__lt=end.created_at))
    reading = Reading(session)
    now = ids.milliseconds()
    # Where clocks ran ahead, what is said next must still come last.
    newest = rows.order_by("-created_at").values_list("created_at", flat=True).first()
    ahead = max(round(newest.timestamp() * 1000) - now + 1, 0) if newest else 0
    with transaction.atomic():
        made = turns.create(
            owner, directory, title=f"{session.shown_title} (fork)", **_set_up(session, owner)
        )
        found: list[Change] = []
        for message in rows.prefetch_related("parts").iterator(chunk_size=200):
            # What was taken back is not gone on from.
            if reading.is_reverted(message.external_id):
                continue
            place = {"sessionID": made.external_id}
            found.append(changes.message({**_earlier(_settled(message), ahead), **place}))
            found += [changes.part({**_settled_part(part), **place}) for part in message.parts.all()]
            if len(found) >= 1000:
                ingest.apply(made, found)
                found = []
        made = ingest.apply(made, found) if found else made
        # Whatever the last message says, nobody works on it yet.
        made.status = Status.IDLE
        made.save(update_fields=["status"])
    return made


def _set_up(session: Session, owner: Any) -> dict[str, Any]:
    """How the agent runs there: as it did here, no more freely."""
    setup = AgentSettings.objects.filter(session=session, session__owner=owner).first()
    if setup is None:
        return {}
    try:
        model = choices.chosen(setup.model).id if setup.model else ""
    except choices.UnknownModel:
        model = ""
    return {"model": model, "mode": setup.mode, "extensions": setup.extensions}


def _earlier(data: dict[str, Any], by: int) -> dict[str, Any]:
    """A message moved back in time by so many milliseconds."""
    if not by:
        return data
    times = {
        name: value - by if isinstance(value, (int, float)) and not isinstance(value, bool) else value
        for name, value in obj(data.get("time")).items()
    }
    return {**data, "time": times}


_LEFT = "Not brought to its end: the session was forked before."


def _settled(message: Any) -> dict[str, Any]:
    """A message as a fork has it: nobody works on it there."""
    data = obj(message.data)
    done = "error" in data or "completed" in obj(data.get("time"))
    return data if done or message.role != "assistant" else turns.aborted(data, _LEFT, ids.milliseconds())


def _settled_part(part: Part) -> dict[str, Any]:
    data = obj(part.data)
    state = obj(data.get("state"))
    if part.kind != "tool" or state.get("status") not in ("pending", "running"):
        return data
    return {**data, "state": turns.unfinished(state, _LEFT, ids.milliseconds())}
