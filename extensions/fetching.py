"""An allowlist that is kept elsewhere: had from its address or file, and read in goose's form."""

import time
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import httpx
import yaml

_LARGEST = 1_000_000
_MOST_REDIRECTS = 10
_SECONDS = 10.0


class Unreadable(Exception):
    """The list could not be had, or is none; the message says what went wrong."""


def commands(source: str) -> list[str]:
    """The commands of the list at an https address or in a file.

    Raises:
        Unreadable: there is no such list there, or not just now.
    """
    try:
        return parse(_read(source))
    # Whatever it is, the last good copy stays in force, and the admin panel says what it was.
    except Exception as error:
        raise Unreadable(f"{type(error).__name__}: {error}") from error


def _read(source: str) -> str:
    if not source.startswith(("http://", "https://")):
        return Path(source.removeprefix("file://")).read_text()
    url = source
    until = time.monotonic() + _SECONDS
    with httpx.Client(timeout=_SECONDS, follow_redirects=False) as client:
        for _ in range(_MOST_REDIRECTS):
            if urlsplit(url).scheme != "https":
                raise ValueError("the list and every redirect must be https")
            with client.stream("GET", url) as answer:
                if answer.is_redirect:
                    url = urljoin(url, answer.headers.get("location", ""))
                    continue
                if answer.status_code != 200:
                    raise ValueError(f"the server answered {answer.status_code}")
                body = b""
                for chunk in answer.iter_bytes():
                    body += chunk
                    if time.monotonic() > until:
                        raise ValueError(f"the list did not arrive within {_SECONDS:.0f} seconds")
                    if len(body) > _LARGEST:
                        raise ValueError("the list is too large")
                return body.decode()
    raise ValueError("too many redirects")


def parse(text: str) -> list[str]:
    """The commands of a list in goose's form, ``extensions: [{id, command}]``.

    Raises:
        ValueError: it has another form.
        yaml.YAMLError: it is no YAML.
    """
    # Every scalar as text: others have their own ways to fail.
    data = yaml.load(text, yaml.BaseLoader)  # noqa: S506 - it makes texts, lists and dictionaries alone
    rows = data.get("extensions") if isinstance(data, dict) else None
    if not isinstance(rows, list) or not all(
        isinstance(row, dict) and isinstance(row.get("command"), str) for row in rows
    ):
        raise ValueError("expected extensions: a list of id and command")
    return [row["command"] for row in rows if row["command"].strip()]
