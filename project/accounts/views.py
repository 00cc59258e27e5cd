"""Pages about who one is: signing in, becoming a member, password, tokens, device sign-in."""

from typing import cast

from django.contrib import messages
from django.contrib.auth import login as sign_user_in
from django.contrib.auth.decorators import login_required
from django.db import IntegrityError, transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from project.accounts import device, ingest_key, setup, tokens
from project.accounts.forms import AccountForm, DeviceForm, TokenForm
from project.accounts.models import DeviceLogin, Invitation, Scope, Token, User, digest
from project.errors import problem

_BACKEND = "django.contrib.auth.backends.ModelBackend"


def _user(request: HttpRequest) -> User:
    return cast(User, request.user)


def locked_out(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
    """After too many wrong passwords."""
    return problem(
        request,
        429,
        "too_many_tries",
        "Too many wrong passwords. Wait a quarter of an hour, or ask an admin.",
    )


@never_cache
@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
def set_up(request: HttpRequest, token: str) -> HttpResponse:
    """The first account, which is an admin's."""
    if not setup.valid(token):
        raise Http404
    form = AccountForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        user = form.save(commit=False)
        user.is_staff = user.is_superuser = True
        if not setup.make(user):
            raise Http404
        sign_user_in(request, user, backend=_BACKEND)
        return redirect("sessions:list")
    return render(request, "accounts/join.html", {"form": form, "first": True})


@never_cache
@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
def accept_invitation(request: HttpRequest, token: str) -> HttpResponse:
    """An account for who was invited."""
    with transaction.atomic():
        invitation = Invitation.objects.select_for_update().filter(digest=digest(token)).first()
        if invitation is None or not invitation.open:
            raise Http404
        form = AccountForm(request.POST or None, username=invitation.username)
        if request.method != "POST" or not form.is_valid():
            return render(request, "accounts/join.html", {"form": form, "first": False})
        user = form.save(commit=False)
        user.is_staff = user.is_superuser = invitation.is_staff
        try:
            with transaction.atomic():
                user.save()
        except IntegrityError:
            form.add_error("username", "This name is taken. Ask for an invitation with another.")
            return render(request, "accounts/join.html", {"form": form, "first": False})
        invitation.accepted_by, invitation.accepted_at = user, timezone.now()
        invitation.save(update_fields=["accepted_by", "accepted_at"])
    sign_user_in(request, user, backend=_BACKEND)
    return redirect("sessions:list")


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def token_list(request: HttpRequest) -> HttpResponse:
    """One's tokens; a new one is shown once, in the answer to its making."""
    form, secret = TokenForm(request.POST or None), ""
    if request.method == "POST" and form.is_valid():
        secret = tokens.issue(_user(request), form.cleaned_data["name"], Scope(form.cleaned_data["scope"]))
        form = TokenForm()
    user = _user(request)
    return render(
        request,
        "accounts/tokens.html",
        {
            "form": form,
            "secret": secret,
            "tokens": Token.objects.filter(user=user, login=None),
            "logins": DeviceLogin.objects.filter(user=user, state=DeviceLogin.State.SIGNED_IN).order_by(
                "-created_at"
            ),
        },
    )


@login_required
@require_POST
def revoke_token(request: HttpRequest, pk: int) -> HttpResponse:
    token = get_object_or_404(Token, pk=pk, user=_user(request))
    token.delete()
    messages.success(request, f"Revoked {token.name}. What used it is refused from now on.")
    return redirect("accounts:tokens")


@login_required
@require_POST
def revoke_login(request: HttpRequest, pk: int) -> HttpResponse:
    login = get_object_or_404(DeviceLogin, pk=pk, user=_user(request))
    login.delete()
    messages.success(request, f"Signed {login.client_name} out.")
    return redirect("accounts:tokens")


@login_required
@require_POST
def renew_ingest_key(request: HttpRequest) -> HttpResponse:
    ingest_key.renew(_user(request))
    messages.success(request, "You have a new ingest key; the old one is refused from now on.")
    return redirect("accounts:tokens")


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def confirm_device(request: HttpRequest) -> HttpResponse:
    """Where a person confirms the code that ``opencode console login`` shows."""
    form = DeviceForm(request.POST or request.GET or None)
    login, done = None, ""
    if form.is_bound and form.is_valid():
        user_code, choice = form.cleaned_data["user_code"], request.POST.get("answer")
        if request.method == "POST" and choice in {"approve", "deny"}:
            login = device.answer(_user(request), user_code, approve=choice == "approve")
            done = choice if login else ""
        else:
            login = device.waiting(user_code)
        if login is None:
            form.add_error(
                "user_code", "No sign-in waits with this code. Start it again, and use the new code."
            )
    return render(request, "accounts/device.html", {"form": form, "login": login, "done": done})
