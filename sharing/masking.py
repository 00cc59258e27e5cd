"""What readers other than the owner get to see of each object: the one place in the reading path where masking stands.

Left out is what docs/sharing.md lists. Whatever is left stays valid for ``opencode import``: nothing required goes.
"""

import os
import re
from functools import cache
from typing import Any

from django.conf import settings

from sessions_app.changes import PART_KINDS

_HOME = re.compile(
    r"(?:/home|/Users|[A-Za-z]:[\\/]{1,2}(?i:users))[\\/]{1,2}[^\\/\s\"'`<>:;,|?*]+|/root(?=/|\s|$|[\"'`:;,])"
)
_ATTACHMENT = re.compile(r"data:[\w.+-]+/[\w.+-]+;base64,")
_NEVER = {"share", "permission", "system", "headers", "options", "responseHeaders", "responseBody"}
_ERROR_FIELDS = ("responseHeaders", "responseBody", "metadata")


def mask(kind: str, data: Any) -> Any:
    """What a reader may see of an object of this kind (``session``, ``message``, ``part``, ``model`` …)."""
    return _texts(_REDUCED.get(kind, _unknown)(data))


def _texts(value: Any) -> Any:
    """The value with every text in it masked, keys included."""
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, dict):
        return {_text(key): _texts(child) for key, child in value.items()}
    if isinstance(value, list):
        return [_texts(child) for child in value]
    return value


def _text(text: str) -> str:
    # Home directories say who somebody is. Attachments are data, not paths.
    if ("/" not in text and "\\" not in text) or _ATTACHMENT.match(text):
        return text
    return _workspaces().sub("~", _HOME.sub("~", text))


@cache
def _workspaces_of(path: str) -> re.Pattern[str]:
    """Everybody's workspace here, which is named like them, also where its beginning was masked already."""
    variants = {path, _HOME.sub("~", path)}
    return re.compile("|".join(re.escape(each) + r"/[^/\s\"'`<>:;,|?*]+" for each in sorted(variants)))


def _workspaces() -> re.Pattern[str]:
    return _workspaces_of(os.path.realpath(settings.GANDER.workspaces))


def _unknown(data: Any) -> Any:
    """An object of a kind that we do not know: what is left out of known ones, wherever it stands."""
    if isinstance(data, list):
        return [_unknown(child) for child in data]
    if not isinstance(data, dict):
        return data
    kept = {name: _unknown(value) for name, value in data.items() if name not in _NEVER}
    if data.get("synthetic") is True and "text" in kept:
        kept["text"] = ""
    return kept


def _without(data: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in data.items() if name not in names}


def _session(data: Any) -> Any:
    # The address of the share would tie an imported copy to the original.
    return _without(data, "share", "permission") if isinstance(data, dict) else data


def _message(data: Any) -> Any:
    if not isinstance(data, dict):
        return data
    data = _without(data, "system")
    if "error" in data:
        data["error"] = _error(data["error"])
    return data


def _error(error: Any) -> Any:
    if isinstance(error, dict) and isinstance(error.get("data"), dict):
        return {**error, "data": _without(error["data"], *_ERROR_FIELDS)}
    return error


def _part(data: Any) -> Any:
    if not isinstance(data, dict):
        return data
    if data.get("synthetic") is True and "text" in data:
        # Whole files that a mention pulled in.
        return {**data, "text": ""}
    if data.get("type") == "retry" and "error" in data:
        return {**data, "error": _error(data["error"])}
    return data if data.get("type") in PART_KINDS else _unknown(data)


def _model(data: Any) -> Any:
    if not isinstance(data, dict):
        return data
    data = {**data, **{name: {} for name in ("headers", "options") if name in data}}
    if isinstance(data.get("api"), dict) and "url" in data["api"]:
        data["api"] = {**data["api"], "url": ""}
    if isinstance(data.get("variants"), dict):
        # A variant's settings are request options too.
        data["variants"] = {name: {} for name in data["variants"]}
    return data


def _as_it_is(data: Any) -> Any:
    return data


_REDUCED = {
    "text": _as_it_is,
    "session": _session,
    "message": _message,
    "part": _part,
    "model": _model,
    "session_diff": _as_it_is,
}
