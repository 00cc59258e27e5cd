"""One part as HTML, through the template of its kind. Beside this package only formats know kinds."""

import hashlib
import logging
from typing import Any

from django.core.cache import cache
from django.template.loader import render_to_string
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from sessions_app.changes import PART_KINDS
from sessions_app.models import ID_LENGTH, Part, Session
from sessions_app.reading import Reading
from sessions_app.render.errors import error_of
from sessions_app.render.tool import Tool, obj, patched_files, pretty, txt
from sessions_app.text import is_storable, storable_throughout

logger = logging.getLogger(__name__)

# Raised when templates change what a cached part looks like.
_VERSION = 4
_KEPT_SECONDS = 3600
# Larger ones are rendered anew: a process keeps thousands of parts, and may have no more than that in memory.
_MOST_KEPT = 200_000


def part_html(reading: Reading, part: Part, *, role: str, whole: bool = False, base: str = "") -> SafeString:
    """A part as HTML; where it cannot be rendered, as escaped text with a note.

    Args:
        role: of the message, which decides how its text reads.
        whole: long output complete instead of its head.
        base: the address of the session's page, under which parts are had whole.
    """
    child = _child_session(reading, part)
    if whole:
        return mark_safe(_render(reading, part, role, child, base, whole=True))  # noqa: S308 - templates escape
    # Besides the part itself, what its card takes from elsewhere.
    around = hashlib.sha256(f"{role == 'user'}\0{base}\0{child}\0{reading.session.directory}".encode())
    key = f"part:{_VERSION}:{part.pk}:{part.revision}:{int(reading.masked)}:{around.hexdigest()[:20]}"
    html = cache.get(key)
    if html is None:
        html = _render(reading, part, role, child, base)
        if len(html) <= _MOST_KEPT:
            cache.set(key, str(html), _KEPT_SECONDS)
    return mark_safe(str(html))  # noqa: S308 - templates escape


def _render(reading: Reading, part: Part, role: str, child: object, base: str, *, whole: bool = False) -> str:
    data: Any = None
    try:
        data = obj(storable_throughout(reading.part(part)))
        kind = txt(data.get("type"))
        context = {
            "part": data,
            "pk": part.pk,
            "id": part.external_id,
            "role": role,
            "whole": whole,
            "base": base,
        }
        if kind == "tool":
            tool = Tool(data, reading.directory, own=not reading.masked)
            return render_to_string(
                f"sessions_app/tools/{tool.kind}.html", {**context, "tool": tool, "child": child}
            )
        if kind in PART_KINDS:
            extra = _extra(kind, data, reading.directory)
            return render_to_string(f"sessions_app/parts/{kind}.html", {**context, **extra})
        return render_to_string("sessions_app/parts/unknown.html", {**context, "json": pretty(data)})
    except Exception:  # a part that we cannot read must not take the page with it
        logger.exception("part %s cannot be rendered", part.pk)
        return format_html(
            '<div class="note"><p>This {} could not be shown; here is what was recorded.</p><pre tabindex="0">{}</pre></div>',
            part.kind,
            pretty(data)[:20_000],
        )


def _child_session(reading: Reading, part: Part) -> object:
    """The session that a task ran in, where its owner has it here too; readers are not led there."""
    if reading.masked or part.kind != "tool":
        return None
    tool = Tool(obj(part.data))
    if tool.kind != "task" or not tool.child_session or not is_storable(tool.child_session):
        return None
    own = Session.objects.owned_by(reading.session.owner).filter(source=reading.session.source)
    return own.filter(external_id=tool.child_session[:ID_LENGTH]).values_list("pk", flat=True).first()


def _extra(kind: str, data: dict[str, Any], directory: str) -> dict[str, Any]:
    match kind:
        case "patch":
            return {"files": patched_files(data, directory)}
        case "retry":
            return {"error": error_of(data.get("error"))}
        case _:
            return {}
