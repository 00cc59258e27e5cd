"""Filters and tags for the pages that show sessions."""

from datetime import UTC, datetime
from math import floor
from typing import Any

from django import template
from django.utils import timezone
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString

from sessions_app.render import ansi as _ansi
from sessions_app.render import code as _code
from sessions_app.render import markdown as _markdown
from sessions_app.render import patch as _patch
from sessions_app.render.files import is_picture
from sessions_app.render.tool import txt

register = template.Library()

HEAD_LINES = 20
HEAD_DIFF_LINES = 60
_HEAD_CHARACTERS = 4000
_HEAD_DIFF_CHARACTERS = 8000
_LONG_TEXT = 20_000


@register.filter
def markdown(text: object) -> SafeString:
    return _markdown.markdown(text if isinstance(text, str) else "")


@register.filter
def plain(text: object) -> SafeString:
    return _markdown.plain(text if isinstance(text, str) else "")


@register.inclusion_tag("sessions_app/attachment.html", takes_context=True)
def attachment(context: dict[str, Any], file: dict[str, Any], number: int = 0) -> dict[str, Any]:
    """A file of the part at hand, had from an address of its own where its content is in the session."""
    url = txt(file.get("url"))
    return {
        "name": txt(file.get("filename")),
        "mime": txt(file.get("mime")),
        "address": f"{context['base']}/parts/{context['pk']}/files/{number}"
        if url[:5].lower() == "data:"
        else "",
        "picture": is_picture(url),
    }


@register.inclusion_tag("sessions_app/diff.html")
def diff(patch: str, file: str = "") -> dict[str, Any]:
    """A unified patch as a table of lines."""
    return {"lines": _patch.lines(patch, file), "cut": patch.count("\n") > _patch.MOST_LINES, "file": file}


@register.inclusion_tag("sessions_app/diffs.html", takes_context=True)
def diffs(context: dict[str, Any], patches: list[tuple[str, str]]) -> dict[str, Any]:
    """The patches of a tool call: the head of all of them together, and how to get them whole."""
    count = sum(patch.count("\n") for _, patch in patches)
    cut = not context.get("whole") and (
        count > HEAD_DIFF_LINES + 10 or sum(len(patch) for _, patch in patches) > _HEAD_DIFF_CHARACTERS
    )
    shown = []
    lines, characters = (HEAD_DIFF_LINES, _HEAD_DIFF_CHARACTERS) if cut else (_patch.MOST_LINES, None)
    for file, patch in patches:
        rows = _patch.lines(patch[:characters], file, lines)
        shown.append({"file": file, "lines": rows})
        if cut:
            lines -= len(rows)
            characters = max((characters or 0) - len(patch), 0)
            if lines <= 0 or not characters:
                break
    return {
        "shown": shown,
        "more": count if cut else 0,
        "files": len(patches),
        "cut": count > _patch.MOST_LINES,
        "pk": context["pk"],
        "base": context["base"],
    }


@register.inclusion_tag("sessions_app/split_diff.html")
def split_diff(patch: str, file: str = "") -> dict[str, Any]:
    """A unified patch as two columns, before and after."""
    lines = _patch.lines(patch, file)
    return {"pairs": _patch.pairs(lines), "cut": patch.count("\n") > _patch.MOST_LINES, "file": file}


@register.filter
def is_long(text: object) -> bool:
    """Whether a message's text is a document rather than something said."""
    return isinstance(text, str) and len(text) > _LONG_TEXT


@register.inclusion_tag("sessions_app/output.html", takes_context=True)
def output(
    context: dict[str, Any], text: str, label: str = "Output", form: str = "ansi", file: str = ""
) -> dict[str, Any]:
    """Long text: its head, and how to get it whole; ``form`` is ``ansi``, ``code``, ``markdown`` or ``plain``."""
    whole = bool(context.get("whole"))
    text = text if isinstance(text, str) else ""
    lines = text.count("\n") + 1
    cut = not whole and (lines > HEAD_LINES + 5 or len(text) > _HEAD_CHARACTERS)
    shown = "\n".join(text.split("\n", HEAD_LINES)[:HEAD_LINES])[:_HEAD_CHARACTERS] if cut else text
    render = {
        "code": lambda value: _code.highlighted(value, file=file),
        "markdown": _markdown.markdown,
        "plain": _markdown.plain,
    }
    return {
        "html": render.get(form, _ansi.ansi)(shown),
        "form": form,
        "label": label,
        "cut": cut,
        "lines": lines,
        "characters": len(text),
        "pk": context.get("pk"),
        "base": context.get("base"),
    }


@register.filter
def duration(seconds: float | None) -> str:
    """Seconds as people say them; ``static/js/fold.js`` says the same of what arrives live."""
    if seconds is None:
        return ""
    milliseconds = floor(seconds * 1000 + 0.5)
    if milliseconds < 1000:
        return f"{milliseconds} ms"
    tenths = (milliseconds + 50) // 100
    if tenths < 600:
        return f"{tenths // 10}.{tenths % 10} s"
    minutes, rest = divmod(floor(milliseconds / 1000 + 0.5), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


@register.filter
def short(number: float | None) -> str:
    """A count rounded for people: 950, 12 k, 4.1 M."""
    number = number or 0
    for limit, divisor, unit in ((1000, 1, ""), (1_000_000, 1000, " k"), (1_000_000_000, 1_000_000, " M")):
        if number < limit:
            value = number / divisor
            return f"{value:.0f}{unit}" if value >= 10 or divisor == 1 else f"{value:.1f}{unit}"
    return f"{number / 1_000_000_000:.1f} G"


@register.filter
def dollars(amount: float) -> str:
    return "$0" if not amount else f"${amount:.2f}" if amount >= 0.01 else f"${amount:.4f}"


@register.filter
def moment(value: datetime | None) -> SafeString:
    """A time relative to now, the exact one on hover."""
    if value is None:
        return SafeString("")
    exact = value.astimezone(UTC)
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        exact.isoformat(timespec="seconds"),
        exact.strftime("%d %B %Y, %H:%M:%S UTC"),
        _ago(timezone.now() - value, exact),
    )


def _ago(age: Any, exact: datetime) -> str:
    seconds = age.total_seconds()
    if seconds < 60:
        return "just now"
    if seconds < 3600:
        return f"{int(seconds // 60)} min ago"
    if seconds < 86400:
        return f"{int(seconds // 3600)} h ago"
    if seconds < 7 * 86400:
        return f"{int(seconds // 86400)} d ago"
    return exact.strftime("%d %b %Y")


@register.simple_tag
def icon(name: str) -> SafeString:
    """An icon of the sprite, hidden from screen readers: a word stands beside it."""
    from django.templatetags.static import static

    return format_html(
        '<svg class="icon" aria-hidden="true" focusable="false"><use href="{}#{}"></use></svg>',
        static("icons.svg"),
        escape(name),
    )


@register.filter
def status_icon(status: str) -> str:
    """The icon that stands beside a status's word."""
    return {"working": "loader-circle", "waiting": "clock", "failed": "circle-x"}.get(status, "check")


@register.filter
def undone(tags: str) -> list[str]:
    """The sessions that a message's undo brings back."""
    return tags.split()[1:]


@register.filter
def source_icon(source: str) -> str:
    """The icon that stands for an agent."""
    return {
        "goose": "zap",
        "claude-code": "sparkles",
        "codex": "code",
        "gemini": "sparkles",
        "gander": "bot",
        "api": "plug",
    }.get(source, "square-terminal")
