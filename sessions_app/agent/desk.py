"""A turn's rows: what a run needs of the database, read at once, and how its doings are written. All on threads."""

from dataclasses import dataclass, field
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from extensions import runner, switches
from extensions.runner import Launch
from sessions_app import changes, ingest, window
from sessions_app.agent import choices, claims, executors, turns, workspaces
from sessions_app.agent.choices import Choice
from sessions_app.agent.models import (
    Action,
    AgentSettings,
    Approval,
    Mode,
    State,
    ToolChoice,
    Turn,
    TurnEvent,
)
from sessions_app.agent.record import Batch, Record
from sessions_app.models import Message
from sessions_app.reading import Reading
from sessions_app.render.tool import obj, txt
from sessions_app.text import storable


class LostLease(Exception):
    """Another has taken the turn, or it was ended: nothing more may be written to it."""


@dataclass(slots=True)
class Papers:
    """All that a run needs to know beforehand."""

    turn: Turn
    choice: Choice | None
    # Why the turn cannot be run: its model or its directory are not allowed any more.
    refused: choices.UnknownModel | workspaces.OutsideWorkspace | None
    messages: list[Message]
    prompt: dict[str, Any]
    launches: list[Launch]
    missing: list[str]
    always: dict[str, bool]
    decided: dict[str, Action]
    # Whether it goes on after a pause, and where its events stand.
    goes_on: bool
    number: int
    calls: dict[str, dict[str, Any]] = field(default_factory=dict)


def read(turn: Turn) -> Papers:
    """Looks everything up; asks the allowlist for each extension that is on."""
    session = turn.session
    rows = list(window.with_parts(Reading(session)))
    own = [row for row in rows if obj(row.data).get("parentID") == turn.prompt]
    launches, missing = ([], []) if turn.mode == Mode.CHAT else _launches(turn)
    calls = {
        txt(obj(part.data).get("callID")): obj(part.data)
        for row in own
        for part in row.parts.all()
        if part.kind == "tool"
    }
    choice, refused = None, None
    try:
        if str(workspaces.resolve(session.owner, session.directory)) != session.directory:
            raise workspaces.OutsideWorkspace(f"{session.directory} has become a link to somewhere else.")
        choice = choices.chosen(turn.model)
    except (choices.UnknownModel, workspaces.OutsideWorkspace) as error:
        refused = error
    return Papers(
        turn=turn,
        choice=choice,
        refused=refused,
        messages=rows,
        prompt=next((obj(row.data) for row in rows if row.external_id == turn.prompt), {}),
        launches=launches,
        missing=missing,
        always=dict(ToolChoice.objects.filter(user=session.owner).values_list("tool", "allowed")),
        decided={row.call: Action(row.action) for row in turn.approvals.exclude(action="")},
        goes_on=bool(own),
        number=turn.events.count(),
        calls=calls,
    )


def _launches(turn: Turn) -> tuple[list[Launch], list[str]]:
    session = turn.session
    setup = AgentSettings.objects.filter(session=session).first()
    wanted = None if setup is None else setup.extensions
    found, missing = [], []
    for extension in switches.enabled(session.owner):
        if wanted is not None and extension.name not in wanted:
            continue
        try:
            found.append(runner.prepare(extension, session.owner, session.directory))
        except runner.NotStarted as error:
            missing.append(
                f"The extension {extension.name} may not be used: {error} {switches.whom_to_ask()}"
            )
    return found, missing


def prepared(turn: Turn, launch: Launch) -> Launch:
    """Asks the catalogue, the owner's switches and the allowlist again about an extension.

    Raises:
        NotStarted: it may not be started any more.
    """
    owner = turn.session.owner
    extension = next((each for each in switches.enabled(owner) if each.name == launch.name), None)
    if extension is None:
        raise runner.NotStarted("it was switched off.")
    anew = runner.prepare(extension, owner, turn.session.directory)
    if anew.program != launch.program:
        # What it offers, and what its owner has allowed of it in this turn, was said of the other.
        raise runner.NotStarted("an admin has made it another program meanwhile; the next turn uses that.")
    return anew


def note_missing(turn: Turn, missing: list[str]) -> None:
    """Keeps which extensions the turn goes without, and why; its owner's page says so."""
    # An extension's own words are among them, with whatever it printed.
    missing = [storable(reason) for reason in missing]
    if missing != (turn.missing or []):
        turn.missing = missing
        Turn.objects.filter(pk=turn.pk).update(missing=missing)


def write(turn: Turn, batch: Batch) -> bool:
    """Writes what has come, and renews the lease; whether the turn is to be cancelled, as somebody wants or as its
    session was deleted.

    Raises:
        LostLease: the turn is no longer this executor's.
    """
    with transaction.atomic():
        gone = bool(batch.changes) and ingest.apply(turn.session, batch.changes).deleted_at is not None
        _renew(turn)
        _note(batch)
        return gone or bool(Turn.objects.values_list("cancelling", flat=True).get(pk=turn.pk))


def _note(batch: Batch) -> None:
    try:
        note(batch.events, batch.approvals)
    except IntegrityError:
        raise LostLease from None


def note(events: list[TurnEvent], approvals: list[Approval]) -> None:
    """Writes what stands beside the content. The rows may have been tried before, in a transaction that failed."""
    for row in (*events, *approvals):
        row.pk = None
    TurnEvent.objects.bulk_create(events)
    Approval.objects.bulk_create(approvals, ignore_conflicts=True)


def _renew(turn: Turn, **fields: Any) -> None:
    held = Turn.objects.filter(pk=turn.pk, executor=turn.executor, state=State.RUNNING)
    if not held.update(**{"lease_until": claims.lease_end(), **fields}):
        raise LostLease


def pause(turn: Turn, batch: Batch, record: Record, prompt: dict[str, Any]) -> None:
    """Lays the turn down until its owner has decided; where that is done already, it is queued at once, and where it was
    cancelled meanwhile, it ends.

    Raises:
        LostLease: the turn is no longer this executor's.
    """
    with transaction.atomic():
        ingest.apply(turn.session, [*batch.changes, *noted_files(prompt, record.changed_files())])
        _note(batch)
        waits = turn.approvals.filter(action="").exists()
        state = State.WAITING if waits else State.QUEUED
        _renew(turn, state=state, executor="", lease_until=None, usage=turn.usage, files=record.files)
        if Turn.objects.values_list("cancelling", flat=True).get(pk=turn.pk):
            turns.end(
                Turn.objects.get(pk=turn.pk), State.CANCELLED, "cancelled", "Cancelled before it was done."
            )
        elif not waits:
            transaction.on_commit(executors.wake)


def finish(turn: Turn, batch: Batch, record: Record, prompt: dict[str, Any]) -> None:
    """Writes the last of a turn, whose state and reason are set, and gives it up.

    Raises:
        LostLease: the turn is no longer this executor's.
    """
    with transaction.atomic():
        ingest.apply(turn.session, [*batch.changes, *noted_files(prompt, record.changed_files())])
        _note(batch)
        _renew(
            turn,
            state=turn.state,
            stop_reason=turn.stop_reason,
            usage=turn.usage,
            files=None,
            ended_at=timezone.now(),
            lease_until=None,
        )


def has_begun(turn: Turn) -> bool:
    """Whether anything was said of the turn before, by whoever ran it until it paused."""
    return turn.events.exists()


def abandon(turn: Turn, why: str, code: str = "") -> None:
    """Ends a turn, whose state and reason are set, of which this executor has read nothing yet.

    Raises:
        LostLease: the turn is no longer this executor's.
    """
    with transaction.atomic():
        _, now = turns.locked(turn)
        if (now.executor, now.state) != (turn.executor, State.RUNNING):
            raise LostLease
        turns.end(now, State(turn.state), turn.stop_reason, why, code)


def noted_files(prompt: dict[str, Any], files: list[dict[str, Any]]) -> list[changes.Change]:
    """The prompt with the patches of its turn, where there are any or there were, until all was taken back."""
    summary = obj(prompt.get("summary"))
    if not prompt or not (files or summary.get("diffs")):
        return []
    return [changes.message({**prompt, "summary": {**summary, "diffs": files}})]
