"""What people do with turns: begin one, cancel it, decide about a tool call that waits. Each is one transaction."""

import base64
import binascii
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.utils import timezone

from sessions_app import changes, hints, ingest
from sessions_app.agent import choices, executors, ids
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
from sessions_app.changes import Change, text
from sessions_app.models import TITLE_LENGTH, Part, Session
from sessions_app.render.tool import obj
from sessions_app.text import line, storable

CANCELLING = "turn-cancelling"
IMAGES = {"image/png", "image/jpeg", "image/gif", "image/webp"}
_LARGEST_IMAGE = 10_000_000
_LONGEST_PROMPT = 1_000_000


class Busy(Exception):
    """The session has an active turn already."""

    def __init__(self, turn: Turn) -> None:
        super().__init__(
            "The agent is still at work in this session. Follow that turn, cancel it, or wait for its end."
        )
        self.turn = turn


class NotRun(Exception):
    """Gander does not run this session: it came from elsewhere and can only be read, or forked."""


class Decided(Exception):
    """The tool call does not wait for a decision any more."""


class BadContent(ValueError):
    """A prompt that cannot be given to an agent; the message says why."""


@dataclass(frozen=True, slots=True)
class Image:
    """An image of a prompt, its bytes in base64."""

    mime: str
    data: str


def prompt_parts(content: object) -> tuple[str, list[Image]]:
    """The text and the images of a prompt: a text, or goose's list of ``text`` and ``image`` blocks.

    Raises:
        BadContent: it is neither, or has nothing to say, or an image is none.
    """
    if isinstance(content, str):
        content = [{"type": "text", "text": content}]
    if not isinstance(content, list):
        raise BadContent("content must be a text, or a list of text and image blocks")
    texts: list[str] = []
    images: list[Image] = []
    for block in content:
        match obj(block).get("type"):
            case "text":
                texts.append(storable(text(block, "text")))
            case "image":
                images.append(_image(block))
            case _:
                raise BadContent(
                    'every block must be {"type": "text", "text"} or {"type": "image", "data", "mimeType"}'
                )
    said = "\n".join(piece for piece in texts if piece.strip())
    if not said and not images:
        raise BadContent("content must say something")
    if len(said) > _LONGEST_PROMPT:
        raise BadContent(f"content may have at most {_LONGEST_PROMPT:,} characters")
    if len(images) > 20:
        raise BadContent("content may hold at most 20 images")
    return said, images


def _image(block: dict[str, Any]) -> Image:
    mime = text(block, "mimeType") or text(block, "mime_type")
    data = text(block, "data")
    if mime not in IMAGES:
        raise BadContent(f"an image's mimeType must be one of {', '.join(sorted(IMAGES))}")
    if len(data) * 3 // 4 > _LARGEST_IMAGE:
        raise BadContent(f"an image may have at most {_LARGEST_IMAGE:,} bytes")
    try:
        base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        raise BadContent("an image's data must be base64") from None
    if not data:
        raise BadContent("an image's data is empty")
    return Image(mime, data)


def begin(
    session: Session,
    content: object,
    *,
    request_id: uuid.UUID | None = None,
    model: str = "",
    mode: str = "",
) -> tuple[Turn, bool]:
    """Writes the prompt and queues a turn over it; whether it is a new one, as a repeated request is not.

    Raises:
        BadContent, Busy, NotRun, choices.UnknownModel: why there is none.
        Session.DoesNotExist: the session was deleted meanwhile.
    """
    with transaction.atomic():
        session = Session.objects.select_for_update().get(pk=session.pk)
        if request_id is not None:
            same = Turn.objects.filter(session=session, request_id=request_id).first()
            if same is not None:
                return same, False
        setup = AgentSettings.objects.filter(session=session).first()
        if setup is None:
            raise NotRun("This session came from elsewhere. Fork it to go on with an agent here.")
        said, images = prompt_parts(content)
        if (active := Turn.objects.filter(session=session, state__in=_ACTIVE).first()) is not None:
            raise Busy(active)
        choice = choices.chosen(model or setup.model)
        turn = Turn.objects.create(
            session=session,
            request_id=request_id,
            prompt=ids.ascending("msg"),
            model=choice.id,
            mode=mode or setup.mode,
        )
        ingest.apply(session, _prompt(session, turn, choice, said, images))
        transaction.on_commit(executors.wake)
    return turn, True


_ACTIVE = (State.QUEUED, State.RUNNING, State.WAITING)


def _prompt(
    session: Session, turn: Turn, choice: choices.Choice, said: str, images: Sequence[Image]
) -> list[Change]:
    now = ids.milliseconds()
    found: list[Change] = []
    if not session.title:
        found.append(changes.SessionChange(described(session, title=line(said, 80) or "Images")))
    found.append(
        changes.message(
            {
                "id": turn.prompt,
                "sessionID": session.external_id,
                "role": "user",
                "time": {"created": now},
                "agent": "gander",
                "model": {"providerID": str(choice.provider), "modelID": choice.name},
            }
        )
    )
    place = {"sessionID": session.external_id, "messageID": turn.prompt}
    if said:
        found.append(changes.part({"id": ids.ascending("prt"), **place, "type": "text", "text": said}))
    for number, image in enumerate(images, 1):
        name = f"image-{number}.{image.mime.removeprefix('image/')}"
        url = f"data:{image.mime};base64,{image.data}"
        part = {
            "id": ids.ascending("prt"),
            **place,
            "type": "file",
            "mime": image.mime,
            "filename": name,
            "url": url,
        }
        found.append(changes.part(part))
    return found


def described(session: Session, **fields: Any) -> dict[str, Any]:
    """What Gander, as its source, says of one of its own sessions as a whole."""
    return {
        **obj(session.info),
        "id": session.external_id,
        "slug": session.external_id,
        "projectID": "global",
        "directory": session.directory,
        "title": line(session.title, TITLE_LENGTH),
        "version": "gander",
        "time": {
            "created": round(session.created_at.timestamp() * 1000),
            "updated": ids.milliseconds(),
        },
        **fields,
    }


def create(
    owner: Any,
    directory: str,
    *,
    title: str = "",
    model: str = "",
    mode: str = Mode.APPROVE,
    extensions: list[str] | None = None,
) -> Session:
    """A new, empty session for Gander's own agent in a resolved directory.

    Raises:
        choices.UnknownModel: the model may not be used.
    """
    if model:
        model = choices.chosen(model).id
    with transaction.atomic():
        session = Session.objects.create(
            owner=owner,
            source="gander",
            external_id=ids.ascending("ses"),
            directory=directory,
            title=line(title, TITLE_LENGTH),
            title_is_own=bool(line(title, TITLE_LENGTH)),
        )
        AgentSettings.objects.create(session=session, model=model, mode=mode, extensions=extensions)
        return ingest.apply(session, [changes.SessionChange(described(session))])


def set_up(setup: AgentSettings, **changed: Any) -> AgentSettings:
    """Changes ``model``, ``mode`` or ``extensions`` of a session's agent; a turn that runs goes on as it began.

    Raises:
        choices.UnknownModel: the model may not be used.
    """
    if changed.get("model"):
        changed["model"] = choices.chosen(changed["model"]).id
    for name, value in changed.items():
        setattr(setup, name, value)
    if changed:
        setup.save(update_fields=list(changed))
    return setup


def locked(turn: Turn) -> tuple[Session, Turn]:
    """The turn as it is now and its session, both locked, always in this order. Within a transaction."""
    session = Session.objects.select_for_update().get(pk=turn.session_id)
    return session, Turn.objects.select_for_update().get(pk=turn.pk)


def cancel(turn: Turn) -> Turn:
    """Ends a turn that waits at once, and asks whoever runs it to end one that runs. An ended one stays as it is."""
    with transaction.atomic():
        session, turn = locked(turn)
        if turn.state == State.RUNNING:
            turn.cancelling = True
            turn.save(update_fields=["cancelling"])
            transaction.on_commit(lambda: hints.tell(CANCELLING, session))
        elif turn.active:
            end(turn, State.CANCELLED, "cancelled", "Cancelled before it was done.")
    return turn


def decide(turn: Turn, call: str, action: Action, user: Any) -> Turn:
    """Says whether a waiting tool call may be made; once nothing waits any more, the turn goes on.

    Raises:
        Approval.DoesNotExist: no such call ever waited.
        Decided: it does not wait any more.
    """
    with transaction.atomic():
        session, turn = locked(turn)
        approval = Approval.objects.get(turn=turn, call=call)
        if approval.action or not turn.active:
            raise Decided("This call was decided already, or its turn has ended.")
        waiting = [approval]
        if action.stays:
            ToolChoice.objects.update_or_create(
                user=user, tool=approval.tool, defaults={"allowed": action.allows}
            )
            others = turn.approvals.filter(action="", tool=approval.tool).exclude(pk=approval.pk)
            waiting += list(others)
        now = timezone.now()
        for each in waiting:
            each.action, each.decided_at = action, now
            each.save(update_fields=["action", "decided_at"])
        ingest.apply(session, [_decided(turn, each, action) for each in waiting])
        if turn.state == State.WAITING and not turn.approvals.filter(action="").exists():
            turn.state = State.QUEUED
            turn.save(update_fields=["state"])
            transaction.on_commit(executors.wake)
    return turn


def _decided(turn: Turn, approval: Approval, action: Action) -> Change:
    part = Part.objects.get(
        session=turn.session_id, message__external_id=approval.message, external_id=approval.part
    )
    state = obj(part.data["state"])
    metadata = {**obj(state.get("metadata")), "approval": str(action)}
    return changes.part({**part.data, "state": {**state, "metadata": metadata}})


def end(turn: Turn, state: State, stop_reason: str, why: str, code: str = "") -> None:
    """Ends a turn that nobody runs, with all that it had written kept. Within a transaction that holds its row.

    With a ``code`` its stream ends with an error; an interrupted one's always does.
    """
    turn.state, turn.stop_reason = state, stop_reason
    turn.ended_at, turn.files = timezone.now(), None
    turn.save(update_fields=["state", "stop_reason", "ended_at", "files"])
    number = turn.events.count()
    found: list[Change] = []
    events: list[TurnEvent] = []
    now = ids.milliseconds()
    answers = [
        message
        for message in turn.session.messages.filter(
            role="assistant", external_id__gt=turn.prompt
        ).prefetch_related("parts")
        if obj(message.data).get("parentID") == turn.prompt
    ]
    for message in answers:
        data = obj(message.data)
        for part in message.parts.all():
            call = obj(part.data)
            doing = obj(call.get("state"))
            if part.kind == "tool" and doing.get("status") in ("pending", "running"):
                found.append(changes.part({**call, "state": unfinished(doing, why, now)}))
                events.append(
                    TurnEvent(name="tool_result", message=message.external_id, part=part.external_id)
                )
        # The last one says for all of them that the turn was not brought to its end.
        if message is answers[-1] or "completed" not in obj(data.get("time")):
            found.append(changes.message(aborted(data, why, now)))
    if state == State.INTERRUPTED:
        code = "interrupted"
    if code:
        events.append(TurnEvent(name="error", data={"code": code, "message": why}))
    events.append(TurnEvent(name="message_complete", data=completion(turn)))
    for index, event in enumerate(events):
        event.turn, event.number = turn, number + index + 1
    TurnEvent.objects.bulk_create(events)
    if not answers:
        found.append(changes.message(aborted(answer(turn), why, now)))
    ingest.apply(turn.session, found)


def answer(turn: Turn) -> dict[str, Any]:
    """A new, empty message of the agent's in this turn, as opencode's schema has it."""
    provider, _, name = turn.model.partition("/")
    directory = turn.session.directory
    return {
        "id": ids.ascending("msg"),
        "sessionID": turn.session.external_id,
        "role": "assistant",
        "time": {"created": ids.milliseconds()},
        "parentID": turn.prompt,
        "modelID": name,
        "providerID": provider,
        "mode": turn.mode,
        "agent": "gander",
        "path": {"cwd": directory, "root": directory},
        "cost": 0,
        "tokens": {"input": 0, "output": 0, "reasoning": 0, "cache": {"read": 0, "write": 0}},
    }


def aborted(message: dict[str, Any], why: str, now: int) -> dict[str, Any]:
    """An assistant's message that will not be finished, as opencode marks one."""
    return {
        **message,
        "time": {**obj(message.get("time")), "completed": now},
        "error": {"name": "MessageAbortedError", "data": {"message": why}},
    }


def unfinished(state: dict[str, Any], why: str, now: int) -> dict[str, Any]:
    """A tool call's state when its turn ended before it did."""
    began = obj(state.get("time")).get("start", now)
    return {**state, "status": "error", "error": why, "time": {"start": began, "end": now}}


def completion(turn: Turn) -> dict[str, Any]:
    """What ``message_complete`` says."""
    return {"stop_reason": turn.stop_reason, "usage": turn.usage, "turn": str(turn.pk)}
