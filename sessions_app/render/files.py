"""Files that stand in a part itself, as ``data:`` addresses: a file part is one, a tool call has its attachments."""

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes

from sessions_app.render.markdown import IMAGE_DATA
from sessions_app.render.tool import Tool, txt

MIME = re.compile(r"[\w.+-]+/[\w.+-]+")


@dataclass(frozen=True, slots=True)
class File:
    """A file that is in the session; ``picture`` says whether a page may show it."""

    name: str
    mime: str
    content: bytes
    picture: bool


def is_picture(url: str) -> bool:
    """Whether the address holds a picture that a page may show."""
    return url[:60].lower().startswith(IMAGE_DATA)


def file_of(part: dict[str, Any], number: int) -> File | None:
    """The part's file of this number, counted from 0; ``None`` where there is none, or its content is elsewhere."""
    files = Tool(part).attachments if part.get("type") == "tool" else [part]
    return _read(files[number]) if number < len(files) else None


def _read(entry: dict[str, Any]) -> File | None:
    url = txt(entry.get("url"))
    head, comma, body = url.partition(",")
    if not comma or not head.lower().startswith("data:"):
        return None
    kind, *options = head[len("data:") :].lower().split(";")
    try:
        content = unquote_to_bytes(body)
        if "base64" in options:
            content = base64.b64decode(b"".join(content.split()), validate=True)
    except binascii.Error:
        return None
    return File(
        name=txt(entry.get("filename")),
        mime=kind if MIME.fullmatch(kind) else "application/octet-stream",
        content=content,
        picture=is_picture(url),
    )
