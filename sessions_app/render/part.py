"""One part as HTML, through the template of its kind. Nothing else knows kinds."""

import logging
from typing import Any

from django.core.cache import cache
from django.template.loader import render_to_string
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from sessions_app.changes import PART_KINDS
from sessions_app.models import ID_LENGTH, Part, Session
from sessions_app.reading import Reading
from sessions_app.render.tool import Tool, items, obj, pretty, txt
from sessions_app.text import storable_throughout

logger = logging.getLogger(__name__)

# Raised when templates change what a cached part looks like.
_VERSION = 1
_KEPT_SECONDS = 3600


def part_html(reading: Reading, part: Part, *, role: str, whole: bool = False, base: str = "") -> SafeString:
    """A part as HTML; where it cannot be rendered, as escaped text with a note.

    Args:
        role: of the message, which decides how its text reads.
        whole: long output complete instead of its head.
        base: the address of the session's page, under which parts are had whole.
    """
    key = f"part:{_VERSION}:{part.pk}:{part.revision}:{int(reading.masked)}:{int(whole)}:{role == 'user'}:{base}"
    html = None if whole else cache.get(key)
    if html is None:
        html = _render(reading, part, role, whole, base)
        if not whole and len(html) < 200_000:
            cache.set(key, str(html), _KEPT_SECONDS)
    return mark_safe(html)  # noqa: S308 - templates escape


def _render(reading: Reading, part: Part, role: str, whole: bool, base: str) -> str:
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
            tool = Tool(data, reading.directory)
            child = _child_session(reading, tool)
            return render_to_string(
                f"sessions_app/tools/{tool.kind}.html", {**context, "tool": tool, "child": child}
            )
        if kind in PART_KINDS:
            return render_to_string(f"sessions_app/parts/{kind}.html", {**context, **_extra(kind, data)})
        return render_to_string("sessions_app/parts/unknown.html", {**context, "json": pretty(data)})
    except Exception:  # a part that we cannot read must not take the page with it
        logger.exception("part %s cannot be rendered", part.pk)
        return format_html(
            '<div class="note"><p>This {} could not be shown; here is what was recorded.</p><pre tabindex="0">{}</pre></div>',
            part.kind,
            pretty(data)[:20_000],
        )


def _child_session(reading: Reading, tool: Tool) -> object:
    """The session that a task ran in, where its owner has it here too; readers are not led there."""
    if reading.masked or not tool.child_session:
        return None
    own = Session.objects.owned_by(reading.session.owner).filter(source=reading.session.source)
    return own.filter(external_id=tool.child_session[:ID_LENGTH]).values_list("pk", flat=True).first()


def _extra(kind: str, data: dict[str, Any]) -> dict[str, Any]:
    match kind:
        case "patch":
            return {"files": [txt(file) for file in items(data.get("files"))]}
        case "retry":
            return {"error": error_of(data.get("error"))}
        case _:
            return {}


def error_of(error: object) -> dict[str, str] | None:
    """An error as its card shows it: type, message and status, never headers."""
    if not isinstance(error, dict):
        return None
    data = obj(error.get("data"))
    return {
        "name": txt(error.get("name")) or "Error",
        "message": txt(data.get("message")),
        "status": str(data["statusCode"]) if isinstance(data.get("statusCode"), int) else "",
    }
