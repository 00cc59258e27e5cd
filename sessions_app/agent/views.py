"""The plain forms behind an agent's pages: begin a session, say something, stop, decide, fork; no script needed.

They are not called as the server guide calls its operations, whose addresses stand at the same place.
"""

import base64
import uuid
from typing import Any, cast
from urllib.parse import quote

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from sessions_app import session_views, views
from sessions_app.agent import choices, composer, forks, turns, workspaces
from sessions_app.agent.forms import NewSession
from sessions_app.agent.models import Action, AgentSettings, Approval, Mode, ToolChoice, Turn
from sessions_app.models import Session
from sessions_app.reading import Reading
from sessions_app.render.names import shown_name
from sessions_app.text import storable


def _page(session: Session, prompt: str = "", place: str = "") -> HttpResponse:
    """To the session, at a prompt where one is named."""
    at = f"?at={quote(prompt)}" if prompt else ""
    return redirect(f"{reverse('sessions:session', args=[session.pk])}{at}{f'#{place}' if place else ''}")


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def new_session(request: HttpRequest) -> HttpResponse:
    """``/sessions/new``: where an agent is to work, and how."""
    problem = composer.problem()
    form = NewSession(request.user, request.POST if request.method == "POST" and not problem else None)
    if form.is_bound and form.is_valid():
        given = form.cleaned_data
        try:
            session = turns.create(
                request.user,
                str(workspaces.resolve(request.user, given["directory"], make=given["make"])),
                title=given["title"],
                model=given["model"],
                mode=given["mode"],
                extensions=composer.wanted_extensions(request.user, given["extensions"]),
            )
            return _page(session, place="composer")
        except workspaces.OutsideWorkspace as error:
            form.add_error("directory", str(error))
        except choices.UnknownModel as error:
            form.add_error("model", str(error))
    return render(request, "sessions_app/agent/new.html", {"form": form, "problem": problem})


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def permissions(request: HttpRequest) -> HttpResponse:
    """``/sessions/permissions``: what one has said about tools once and for all, and a way to take it back."""
    rows = ToolChoice.objects.filter(user=cast(Any, request.user)).order_by("tool")
    if request.method == "POST":
        tool = storable(request.POST.get("tool", ""))
        if rows.filter(tool=tool).delete()[0]:
            messages.success(request, f"Forgotten. You are asked again about {shown_name(tool)}.")
        return redirect("sessions:permissions")
    found = [{"tool": row.tool, "name": shown_name(row.tool), "allowed": row.allowed} for row in rows]
    return render(request, "sessions_app/agent/permissions.html", {"permissions": found})


@login_required
@never_cache
@require_POST
def say(request: HttpRequest, session_id: uuid.UUID) -> HttpResponse:
    """Sends a message with its images; refused, the page comes again with what was typed."""
    session = views.own(request, session_id)
    text = request.POST.get("text", "")
    images = request.FILES.getlist("images")
    if not text.strip() and not images:
        return _refused(request, session, text, "Write something, or attach an image.", 422)
    if any(image.content_type not in turns.IMAGES for image in images):
        return _refused(request, session, text, "Only PNG, JPEG, GIF and WebP images can be attached.", 422)
    try:
        turn, _ = turns.begin(session, _content(request, text))
    except turns.Busy as error:
        return _refused(request, session, text, str(error), 409)
    except (turns.BadContent, choices.UnknownModel) as error:
        return _refused(request, session, text, str(error), 422)
    except turns.NotRun as error:
        messages.error(request, str(error))
        return _page(session)
    except Session.DoesNotExist:
        raise Http404 from None
    return _page(session, turn.prompt, quote(turn.prompt))


def _content(request: HttpRequest, text: str) -> list[dict[str, Any]]:
    content: list[dict[str, Any]] = [{"type": "text", "text": text.replace("\r\n", "\n")}]
    for file in request.FILES.getlist("images"):
        data = base64.b64encode(file.read()).decode()
        content.append({"type": "image", "data": data, "mimeType": file.content_type or ""})
    return content


def _refused(request: HttpRequest, session: Session, text: str, why: str, status: int) -> HttpResponse:
    lost = " Attach the images again." if request.FILES else ""
    said = f"{why[:1].upper()}{why[1:]}{'' if why.endswith('.') else '.'}"
    messages.error(request, f"This was not sent. {said}{lost}")
    base = reverse("sessions:session", args=[session.pk])
    extra = {**views.for_owner(request, session), "agent": composer.of(session, request.user, text)}
    response = session_views.conversation(request, Reading(session), base, extra)
    response.status_code = status
    return response


@login_required
@require_POST
def set_up(request: HttpRequest, session_id: uuid.UUID) -> HttpResponse:
    """Changes the model, the mode and the extensions of a session's agent."""
    session = views.own(request, session_id)
    setup = get_object_or_404(AgentSettings, session=session)
    asked = request.POST
    changed: dict[str, Any] = {}
    if asked.get("model", setup.model) != setup.model:
        changed["model"] = asked["model"][:200]
    if asked.get("mode") in Mode.values:
        changed["mode"] = asked["mode"]
    if "extensions_given" in asked:
        changed["extensions"] = composer.wanted_extensions(request.user, asked.getlist("extensions"))
    try:
        turns.set_up(setup, **changed)
    except choices.UnknownModel as error:
        messages.error(request, str(error))
        return _page(session)
    return _page(session, place="composer")


@login_required
@require_POST
def stop(request: HttpRequest, session_id: uuid.UUID, turn_id: uuid.UUID) -> HttpResponse:
    """Cancels a turn."""
    session = views.own(request, session_id)
    turn = get_object_or_404(Turn, session=session, pk=turn_id)
    try:
        turns.cancel(turn)
    except (Session.DoesNotExist, Turn.DoesNotExist):
        raise Http404 from None
    return _page(session, turn.prompt, "composer")


@login_required
@require_POST
def decide(request: HttpRequest, session_id: uuid.UUID, call: str) -> HttpResponse:
    """Says whether a tool call that waits may be made."""
    session = views.own(request, session_id)
    approval = Approval.objects.filter(turn__session=session, call=call).order_by("-pk").first()
    if approval is None:
        raise Http404
    if request.POST.get("action") not in Action.values:
        messages.error(request, "Say whether the call is allowed.")
        return _page(session)
    try:
        turns.decide(approval.turn, call, Action(request.POST["action"]), request.user)
    except turns.Decided as error:
        messages.error(request, str(error))
        return _page(session)
    except (Session.DoesNotExist, Turn.DoesNotExist, Approval.DoesNotExist):
        raise Http404 from None
    return _page(session, approval.turn.prompt, "composer")


@login_required
@require_POST
def fork(request: HttpRequest, session_id: uuid.UUID) -> HttpResponse:
    """A new session with the conversation so far, or up to what was answered to one prompt."""
    session = views.own(request, session_id)
    try:
        directory = workspaces.near(request.user, session.directory)
        last = _end_of_turn(session, storable(request.POST.get("message", "")))
        made = forks.fork(session, request.user, str(directory), last=last)
    except Session.DoesNotExist:
        messages.error(request, "The session has no such message.")
        return _page(session)
    except workspaces.OutsideWorkspace as error:
        messages.error(request, str(error))
        return _page(session)
    messages.success(
        request, f"This is a fork of “{session.shown_title}”. What you say here goes on from it."
    )
    return _page(made)


def _end_of_turn(session: Session, message: str) -> str:
    """The last message of a prompt's turn; a fork that ended with the prompt would leave it unanswered."""
    rows = session.messages.filter(placeholder=False)
    asked = rows.filter(external_id=message, role="user").first() if message else None
    if asked is None:
        return message
    end = ""
    for name, role in rows.filter(created_at__gte=asked.created_at).values_list("external_id", "role"):
        if not end:
            end = message if name == message else ""
        elif role == "user":
            break
        else:
            end = name
    return end
