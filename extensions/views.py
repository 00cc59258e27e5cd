"""The page on which a member switches extensions on and off; plain forms, no script needed."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from extensions import runner, switches
from extensions.models import Extension

_MOST_TOOLS = 50


@login_required
@never_cache
@require_safe
def extension_list(request: HttpRequest) -> HttpResponse:
    """``/extensions``: the catalogue."""
    return render(request, "extensions/list.html", {"switches": switches.of(request.user)})


@login_required
@require_POST
def switch(request: HttpRequest, name: str) -> HttpResponse:
    """Switches one on or off, as the form's ``on`` says."""
    try:
        if request.POST.get("on") == "1":
            switches.enable(request.user, name)
            messages.success(request, f"{name} is on for your sessions.")
        else:
            switches.disable(request.user, name)
            messages.success(request, f"{name} is off.")
    except Extension.DoesNotExist:
        raise Http404 from None
    except switches.Refused as error:
        messages.error(request, f"{name} may not be switched on. {error}")
    return redirect("extensions:list")


@login_required
@require_POST
def test(request: HttpRequest, name: str) -> HttpResponse:
    """Starts an extension once and says which tools it has, or what went wrong; for those who look after them."""
    if not getattr(request.user, "is_staff", False):
        raise Http404
    extension = get_object_or_404(Extension, name=name)
    try:
        tools = [tool.name for tool in runner.tools_of(extension, request.user)]
    except runner.NotStarted as error:
        messages.error(request, f"{name} does not work. {error}")
    else:
        count = f"{len(tools)} tool{'' if len(tools) == 1 else 's'}"
        named = f": {', '.join(tools[:_MOST_TOOLS])}{' …' if len(tools) > _MOST_TOOLS else ''}"
        messages.success(request, f"{name} works. It has {count}{named if tools else ''}.")
    return redirect("extensions:list")
