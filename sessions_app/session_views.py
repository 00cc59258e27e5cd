"""What can be looked at in a session, for owner and readers alike: each takes the reading that a door has opened.

The doors are in ``sessions_app.views`` (the owner's) and ``sharing.views`` (everyone else's).
"""

import re
import zlib
from collections.abc import Callable
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render

from sessions_app import find, json_text, outline, transcript
from sessions_app.formats import markdown, opencode
from sessions_app.models import NANO
from sessions_app.reading import Change, Reading
from sessions_app.render.files import file_of
from sessions_app.render.tool import obj, txt
from sessions_app.text import storable

Extra = dict[str, Any]
View = Callable[..., HttpResponse]

_INLINE_PATCH = 10_000
_INLINE_PATCHES = 100_000


def _context(reading: Reading, base: str, view: str, extra: Extra) -> dict[str, Any]:
    """What the layout around every view needs."""
    return {"reading": reading, "session": reading.session, "base": base, "view": view, **extra}


def conversation(request: HttpRequest, reading: Reading, base: str, extra: Extra) -> HttpResponse:
    """The page; for htmx the window asked for alone."""
    context = {
        **transcript.context(request, reading, base),
        "renaming": "rename" in request.GET,
        **_found(request, reading),
        **extra,
    }
    if request.headers.get("hx-request"):
        # The page has what stands on the other side of a window that it asks for.
        context["previous" if "after" in request.GET else "next"] = None
        return render(request, "sessions_app/window.html", context)
    return render(request, "sessions_app/session.html", context)


def outline_page(request: HttpRequest, reading: Reading, base: str, extra: Extra) -> HttpResponse:
    """The prompts: a fragment for the page, or a page of its own."""
    asked = request.GET
    found = outline.page(
        reading, max(_number(asked.get("number")), 1), asked.get("at", ""), _number(asked.get("until"))
    )
    context = {**_context(reading, base, "outline", extra), "outline": found}
    fragment = request.headers.get("hx-request")
    return render(
        request, "sessions_app/outline.html" if fragment else "sessions_app/outline_page.html", context
    )


def _number(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 9 else 0


def _found(request: HttpRequest, reading: Reading) -> dict[str, Any]:
    """The words that the address asks for, and where they stand."""
    words = request.GET.get("q", "")[:200]
    return {"words": words, "found": find.find(reading, words)}


def find_page(request: HttpRequest, reading: Reading, base: str, extra: Extra) -> HttpResponse:
    """Where words stand in the session."""
    context = {**_context(reading, base, "find", extra), **_found(request, reading)}
    fragment = request.headers.get("hx-request")
    return render(request, "sessions_app/found.html" if fragment else "sessions_app/find_page.html", context)


def changes(request: HttpRequest, reading: Reading, base: str, extra: Extra) -> HttpResponse:
    """Every file changed."""
    found = reading.changes()
    left = _INLINE_PATCHES
    shown = []
    for change in found:
        size = sum(map(len, change.patches))
        inline = size <= min(_INLINE_PATCH, left)
        left -= size if inline else 0
        shown.append(_shown(change, inline))
    context = {
        **_context(reading, base, "changes", extra),
        "changes": shown,
        "additions": sum(change.additions for change in found),
        "deletions": sum(change.deletions for change in found),
        "side_by_side": request.GET.get("layout") == "split",
    }
    return render(request, "sessions_app/changes.html", context)


def _shown(change: Change, inline: bool) -> dict[str, Any]:
    lines = sum(patch.count("\n") for patch in change.patches)
    patch = _headed(change)
    # Differs where anything of it does.
    key = f"{change.pk}-{zlib.crc32(repr((change.statuses, change.patches)).encode(errors='replace')):x}"
    return {"row": change, "inline": inline, "lines": lines, "patch": patch, "key": key}


def change(request: HttpRequest, reading: Reading, base: str, extra: Extra) -> HttpResponse:
    """One file's change, whole."""
    # What a single turn did has the key of the same row as the file's changes of all turns may have.
    of_turn = "turn" in request.GET
    found = (reading.change_of_turn if of_turn else reading.change)(extra["pk"])
    if found is None:
        raise Http404
    context = {
        **_context(reading, base, "changes", extra),
        # The address's is the change's: for templates it is a part's, that there is more of.
        "pk": None,
        "change": _shown(found, inline=True),
        "side_by_side": request.GET.get("layout") == "split",
    }
    fragment = request.headers.get("hx-request")
    return render(
        request, "sessions_app/change.html" if fragment else "sessions_app/change_page.html", context
    )


def info(request: HttpRequest, reading: Reading, base: str, extra: Extra) -> HttpResponse:
    """Totals, models, times, origin."""
    models: dict[str, dict[str, Any]] = {}
    rows = (
        reading.messages()
        .filter(role="assistant")
        .values_list("data", "tokens_input", "tokens_output", "cost_nano")
    )
    for data, given, made, cost in rows.iterator():
        name = reading.text(storable(txt(obj(data).get("modelID")))) or "unknown"
        row = models.setdefault(name, {"name": name, "messages": 0, "input": 0, "output": 0, "cost": 0.0})
        row["messages"] += 1
        row["input"] += given
        row["output"] += made
        row["cost"] += cost / NANO
    context = {
        **_context(reading, base, "info", extra),
        "models": list(models.values()),
    }
    return render(request, "sessions_app/info.html", context)


def part(request: HttpRequest, reading: Reading, base: str, extra: Extra) -> HttpResponse:
    """One part with its output complete: a fragment for the page, or a page of its own."""
    html = transcript.whole_part(reading, extra["pk"], base)
    if request.headers.get("hx-request"):
        return HttpResponse(html)
    return render(
        request, "sessions_app/part.html", {"part": html, "reading": reading, "base": base, **extra}
    )


def file(request: HttpRequest, reading: Reading, base: str, extra: Extra) -> HttpResponse:
    """A file that stands in a part: a picture as such, anything else to be saved."""
    found = file_of(transcript.part_data(reading, extra["pk"]), extra["number"])
    if found is None:
        raise Http404
    response = _inert(HttpResponse(found.content, content_type=found.mime))
    if not found.picture:
        response["Content-Type"] = "application/octet-stream"
        name = re.sub(r"[^\w.-]", "_", found.name.replace("\\", "/").rsplit("/", 1)[-1], flags=re.ASCII)[
            -100:
        ]
        response["Content-Disposition"] = f'attachment; filename="{name.strip(".") or "attachment"}"'
    return response


def as_markdown(request: HttpRequest, reading: Reading, base: str, extra: Extra) -> HttpResponse:
    """``.md``: the whole session as Markdown."""
    return _file(request, markdown.export(reading), "text/markdown; charset=utf-8", reading, "md")


def as_json(request: HttpRequest, reading: Reading, base: str, extra: Extra) -> HttpResponse:
    """``.json``: the whole session in opencode's export shape."""
    return _file(request, json_text.dumps(opencode.export(reading)), "application/json", reading, "json")


def as_patch(request: HttpRequest, reading: Reading, base: str, extra: Extra) -> HttpResponse:
    """``changes.patch``: every file's patch, one after the other."""
    return _file(
        request,
        "".join(_headed(change) for change in reading.changes()),
        "text/x-patch; charset=utf-8",
        reading,
        "patch",
    )


def _headed(change: Change) -> str:
    """The patches under heads that ``git apply`` and ``patch -p1`` take, whatever heads their source gave them."""
    return "".join(
        _with_head(patch, change.file, change.statuses[index]) for index, patch in enumerate(change.patches)
    )


def _with_head(patch: str, file: str, status: str) -> str:
    _, hunk, body = patch.partition("@@ ")
    if not hunk:
        # A file that was made or taken away empty has no lines to tell it.
        what = {"added": "new", "deleted": "deleted"}.get(status)
        return f"diff --git a/{file} b/{file}\n{what} file mode 100644\n" if what else ""
    # Sources need not say the status; a file that began or ended empty-handed tells it by its hunk.
    old = "/dev/null" if status == "added" or body.startswith("-0,0 ") else f"a/{file}"
    new = "/dev/null" if status == "deleted" or re.match(r"-\S+ \+0,0 ", body) else f"b/{file}"
    body = body.rstrip("\n")
    return f"--- {old}\n+++ {new}\n@@ {body}\n"


def _file(request: HttpRequest, body: str, kind: str, reading: Reading, ending: str) -> HttpResponse:
    response = _inert(HttpResponse(body, content_type=kind))
    if "download" in request.GET:
        name = re.sub(r"[^\w.-]", "", reading.title[:60].replace(" ", "_"), flags=re.ASCII).strip(".")
        response["Content-Disposition"] = f'attachment; filename="{name or "session"}.{ending}"'
    return response


def _inert(response: HttpResponse) -> HttpResponse:
    """What an agent wrote must not become a page of ours, whatever a browser makes of its type."""
    response["Content-Security-Policy"] = "sandbox; default-src 'none'"
    return response


VIEWS: dict[str, View] = {
    "": conversation,
    ".md": as_markdown,
    ".json": as_json,
    "/outline": outline_page,
    "/find": find_page,
    "/changes": changes,
    "/changes.patch": as_patch,
    "/changes/<int:pk>": change,
    "/info": info,
    "/parts/<int:pk>": part,
    "/parts/<int:pk>/files/<int:number>": file,
}
