"""REST over agents: sessions that Gander runs, in the words of goose's server guide."""

import uuid
from typing import Annotated, Any

from django.core.exceptions import ObjectDoesNotExist
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from ninja import Schema
from ninja import Status as Answer
from pydantic import AfterValidator, ConfigDict, Field

from sessions_app.agent import choices, forks, turns, workspaces
from sessions_app.agent.models import Action, AgentSettings, Approval, Mode, State, Turn
from sessions_app.api import SessionOut, own, router, session_out
from sessions_app.links import base_url
from sessions_app.models import TITLE_LENGTH, Session
from sessions_app.text import is_storable

# One path's methods belong to one router: the sessions' own.
__all__ = ["Problem", "router"]

# Of a turn that was begun: the router of connections follows it where the client wants a stream.
FOLLOW_HEADER = "X-Follow-Turn"


def _storable(value: str) -> str:
    if not is_storable(value):
        raise ValueError("it holds characters that cannot be kept")
    return value


Text = Annotated[str, AfterValidator(_storable)]
Names = Annotated[list[Annotated[Text, Field(max_length=40)]], Field(max_length=200)]


class Problem(Exception):
    """An answer with a code of our own."""

    def __init__(self, status: int, code: str, message: str, field: str | None = None, **more: Any) -> None:
        super().__init__(message)
        self.status, self.code, self.field, self.more = status, code, field, more


class NewSession(Schema):
    model_config = ConfigDict(extra="forbid")

    cwd: Text = Field("", max_length=4000, description="Below your workspace; relative to it, or whole")
    name: Text = Field("", max_length=TITLE_LENGTH)
    model: str = Field(
        "", max_length=200, description="One of GET /api/models; the default where it is empty"
    )
    mode: Mode = Mode.APPROVE
    extensions: Names | None = Field(
        None, description="Names of your extensions; all that you have on without it"
    )


class TextBlock(Schema):
    type: str
    text: str = ""
    data: str = ""
    mimeType: str = ""


class NewMessage(Schema):
    model_config = ConfigDict(extra="forbid")

    content: str | list[TextBlock] = Field(description="A text, or text and image blocks")
    request_id: uuid.UUID | None = Field(None, description="Repeated, it follows the same turn")
    model: str = Field("", max_length=200)
    mode: Mode | None = None


class TurnOut(Schema):
    id: uuid.UUID
    session: uuid.UUID
    state: State
    model: str
    mode: Mode
    stop_reason: str
    usage: dict[str, Any]
    waiting: list[str] = Field(description="Ids of tool calls that wait for a decision")
    missing: list[str] = Field(description="Why extensions that are on were not there, a sentence each")
    created_at: Any
    ended_at: Any


class TurnList(Schema):
    items: list[TurnOut]


class Decision(Schema):
    model_config = ConfigDict(extra="forbid")

    action: Action


class AgentOut(Schema):
    model: str
    mode: Mode
    extensions: list[str] | None


class AgentChanges(Schema):
    """What may be changed; what is not named stays."""

    model_config = ConfigDict(extra="forbid")

    model: str = Field("", max_length=200)
    mode: Mode = Mode.APPROVE
    extensions: Names | None = None


class ModelOut(Schema):
    id: str
    provider: str
    name: str
    default: bool


class ModelList(Schema):
    models: list[ModelOut]


class Fork(Schema):
    model_config = ConfigDict(extra="forbid")

    message: Text = Field("", max_length=200, description="The last message taken over; all without it")
    cwd: Text = Field("", max_length=4000)


def turn_out(turn: Turn) -> dict[str, Any]:
    """A turn as the API shows it."""
    return {
        "id": turn.pk,
        "session": turn.session_id,
        "state": turn.state,
        "model": turn.model,
        "mode": turn.mode,
        "stop_reason": turn.stop_reason,
        "usage": turn.usage,
        "waiting": list(turn.approvals.filter(action="").values_list("call", flat=True))
        if turn.active
        else [],
        "missing": turn.missing or [],
        "created_at": turn.created_at,
        "ended_at": turn.ended_at,
    }


def _turn(request: HttpRequest, session_id: uuid.UUID, turn_id: uuid.UUID) -> Turn:
    return get_object_or_404(Turn, session=own(request, session_id), pk=turn_id)


def _directory(request: HttpRequest, cwd: str, near: str = "") -> str:
    """Where a session is to work: as asked, or near to where another does."""
    try:
        return str(workspaces.resolve(request.user, cwd) if cwd else workspaces.near(request.user, near))
    except workspaces.OutsideWorkspace as error:
        raise Problem(422, "invalid", str(error), "cwd") from None


@router.post("/sessions", response={201: SessionOut}, summary="Begin a session that an agent here works in")
def create_session(request: HttpRequest, new: NewSession) -> Any:
    try:
        session = turns.create(
            request.user,
            _directory(request, new.cwd),
            title=new.name,
            model=new.model,
            mode=new.mode,
            extensions=new.extensions,
        )
    except choices.UnknownModel as error:
        raise Problem(422, "invalid", str(error), "model") from None
    return Answer(201, session_out(session, base_url(request)))


@router.post(
    "/sessions/{uuid:session_id}/messages",
    response={202: TurnOut},
    summary="Send a message, and follow the agent's turn as server-sent events",
    description="Answers with the turn's events as `text/event-stream`; with `Accept: application/json`, with the turn.",
)
def send_message(request: HttpRequest, session_id: uuid.UUID, new: NewMessage, response: HttpResponse) -> Any:
    content = new.content if isinstance(new.content, str) else [block.dict() for block in new.content]
    turn, is_new = begin(
        own(request, session_id), content, request_id=new.request_id, model=new.model, mode=new.mode or ""
    )
    response[FOLLOW_HEADER] = followed(turn, is_new)
    return Answer(202, turn_out(turn))


def followed(turn: Turn, is_new: bool) -> str:
    """What tells whoever passes the answer on which turn is to be followed, and whether anything of it can be had already."""
    return f"{turn.session_id}/{turn.pk}/{'new' if is_new else 'known'}"


def begin(session: Session, content: object, **options: Any) -> tuple[Turn, bool]:
    """Begins a turn, or finds the one that an earlier request began; whether it is new. Every refusal is the API's answer.

    Raises:
        Problem: why there is none.
    """
    try:
        return turns.begin(session, content, **options)
    except turns.BadContent as error:
        raise Problem(422, "invalid", str(error), "content") from None
    except choices.UnknownModel as error:
        raise Problem(422, "no_model", str(error), "model") from None
    except turns.Busy as error:
        raise Problem(409, "busy", str(error), turn=str(error.turn.pk)) from None
    except turns.NotRun as error:
        raise Problem(409, "not_run_here", str(error)) from None
    except Session.DoesNotExist:
        raise Http404 from None


@router.get("/sessions/{uuid:session_id}/turns", response=TurnList, summary="Its turns, newest first")
def list_turns(request: HttpRequest, session_id: uuid.UUID) -> Any:
    rows = own(request, session_id).turns.order_by("-created_at")[:100]
    return {"items": [turn_out(turn) for turn in rows]}


@router.get("/sessions/{uuid:session_id}/turns/{uuid:turn_id}", response=TurnOut, summary="One turn")
def get_turn(request: HttpRequest, session_id: uuid.UUID, turn_id: uuid.UUID) -> Any:
    return turn_out(_turn(request, session_id, turn_id))


@router.post(
    "/sessions/{uuid:session_id}/turns/{uuid:turn_id}/cancel", response=TurnOut, summary="Cancel a turn"
)
def cancel_turn(request: HttpRequest, session_id: uuid.UUID, turn_id: uuid.UUID) -> Any:
    try:
        return turn_out(turns.cancel(_turn(request, session_id, turn_id)))
    except (Session.DoesNotExist, Turn.DoesNotExist):
        raise Http404 from None


@router.post(
    "/sessions/{uuid:session_id}/approvals/{call}",
    response=TurnOut,
    summary="Decide about a tool call that waits",
)
def decide(request: HttpRequest, session_id: uuid.UUID, call: str, decision: Decision) -> Any:
    return turn_out(decide_call(own(request, session_id), call, decision.action, request.user))


def decide_call(session: Session, call: str, action: Action, user: Any) -> Turn:
    """Decides about a tool call of a session, every refusal as the API's answer.

    Raises:
        Problem: it does not wait any more.
        Http404: it never did.
    """
    approval = Approval.objects.filter(turn__session=session, call=call).order_by("-pk").first()
    if approval is None:
        raise Http404
    try:
        return turns.decide(approval.turn, call, action, user)
    except turns.Decided as error:
        raise Problem(409, "decided", str(error)) from None
    except ObjectDoesNotExist:
        raise Http404 from None


@router.get("/sessions/{uuid:session_id}/agent", response=AgentOut, summary="How its agent is set up")
def get_agent(request: HttpRequest, session_id: uuid.UUID) -> Any:
    return get_object_or_404(AgentSettings, session=own(request, session_id))


@router.patch(
    "/sessions/{uuid:session_id}/agent", response=AgentOut, summary="Change model, mode or extensions"
)
def change_agent(request: HttpRequest, session_id: uuid.UUID, changes: AgentChanges) -> Any:
    setup = get_object_or_404(AgentSettings, session=own(request, session_id))
    try:
        return turns.set_up(setup, **changes.model_dump(exclude_unset=True))
    except choices.UnknownModel as error:
        raise Problem(422, "invalid", str(error), "model") from None


@router.post(
    "/sessions/{uuid:session_id}/fork",
    response={201: SessionOut},
    summary="A new session that goes on from a message of this one",
)
def fork_session(request: HttpRequest, session_id: uuid.UUID, fork: Fork) -> Any:
    session = own(request, session_id)
    directory = _directory(request, fork.cwd, session.directory)
    try:
        made = forks.fork(session, request.user, directory, last=fork.message)
    except Session.DoesNotExist:
        raise Problem(422, "invalid", "The session has no such message.", "message") from None
    return Answer(201, session_out(made, base_url(request)))


@router.get("/models", response=ModelList, summary="Models that you may pick")
def list_models(request: HttpRequest) -> Any:
    return {
        "models": [
            {"id": each.id, "provider": str(each.provider), "name": each.name, "default": number == 0}
            for number, each in enumerate(choices.available())
        ]
    }
