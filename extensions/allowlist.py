"""Which commands and addresses may run as extensions: goose's rule, without its holes.

goose's own (``crates/goose-server/src/routes/extension.rs``) compares texts; here argument vectors are compared, exactly,
and no shell ever sees them. Like goose's, the rule overlooks ``.exe``, ``.cmd`` and ``.bat`` of the command, ``-y`` after
one that runs packages, and a package's version. Unlike goose's, a version may only be a version or a tag, a scoped
package's is overlooked too, and a command's directory counts only where an admin lists it.
"""

import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

# A package by its name, npm's or PyPI's; what else may stand before an @ is an address or a path, with no version to cut.
_PACKAGE = re.compile(r"^(@[A-Za-z0-9._-]+/)?[A-Za-z0-9._-]+(\[[A-Za-z0-9._,-]+\])?$")
# npm's and PyPI's versions, ranges' first signs, and tags such as "latest"; neither addresses nor paths.
_VERSION = re.compile(r"^[\^~]?[A-Za-z0-9][A-Za-z0-9._+-]*$")
# What npm takes for a file, whatever stands before it; as there, any character may stand between tar and gz.
_ARCHIVE = re.compile(r"\.(tgz|tar|tar.gz)$", re.IGNORECASE)
# PyPI has no tags; what is neither a version (PEP 440) nor this is taken for a file or directory (PEP 508).
_PYTHON_VERSION = re.compile(
    r"^(latest|v?[0-9]+(\.[0-9]+)*((a|b|rc)[0-9]+)?(\.post[0-9]+)?(\.dev[0-9]+)?(\+[A-Za-z0-9]+([._-][A-Za-z0-9]+)*)?)$"
)
_PYTHON_RUNNERS = {"uvx", "pipx"}
_ENDING = re.compile(r"\.(exe|cmd|bat)$", re.IGNORECASE)
_OWN = "goosed"
# Commands that fetch a package by its name and run it.
_RUNNERS = {"npx", "uvx", "bunx", "pnpx", "pipx"}


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether it may run; where not, why, in words for the person who tried."""

    allowed: bool
    reason: str = ""


def decide_command(
    command: str, arguments: Sequence[str], entries: Sequence[str] | None, directories: Iterable[str] = ()
) -> Decision:
    """Whether a command with its arguments may be started.

    Args:
        entries: the allowed command lines; ``None`` or none at all allows everything.
        directories: where a command given by its path may lie.
    """
    directory, name = _split_path(command.strip())
    name = _ENDING.sub("", name)
    given = [argument.strip() for argument in arguments]
    in_listed = directory == "" or _normal(directory) in {_normal(listed) for listed in directories}
    if name == _OWN:
        # goose's own server is no package: it runs as itself or not at all.
        if not given and (in_listed or directory == "."):
            return Decision(True)
        return Decision(False, f"{_OWN} may run only without arguments, and from where it was installed.")
    if not entries:
        return Decision(True)
    if not in_listed:
        return Decision(
            False, f"Commands in {directory} are not allowed: an admin has not listed that directory."
        )
    wanted = _vector(name, given)
    for words in filter(None, map(_words, entries)):
        place, called = _split_path(words[0])
        # An entry without a directory means the command wherever it may lie.
        if place and _normal(place) != _normal(directory):
            continue
        if _vector(_ENDING.sub("", called), words[1:]) == wanted:
            return Decision(True)
    return Decision(
        False,
        f"“{discreet([name, *given])}” is not on the allowlist. Commands must match an entry exactly, arguments included.",
    )


def decide_url(url: str, entries: Sequence[str] | None) -> Decision:
    """Whether an address may be spoken to: its scheme and host must be an entry's, and its path lie below the entry's."""
    if not entries:
        return Decision(True)
    try:
        wanted = urlsplit(url)
        # As servers read it; some take a backslash for a slash.
        path = unquote(wanted.path).replace("\\", "/")
        for line in entries:
            entry = urlsplit(line.strip())
            if entry.scheme not in {"http", "https"} or entry.username or wanted.username:
                continue
            if (entry.scheme, entry.hostname, entry.port) != (wanted.scheme, wanted.hostname, wanted.port):
                continue
            base = entry.path.rstrip("/")
            if ".." not in path.split("/") and (path == base or path.startswith(f"{base}/")):
                return Decision(True)
    except ValueError:
        pass
    return Decision(False, f"{public(url)} is not below an address on the allowlist.")


# Options and settings whose values are secrets more often than not, and who signs in at an address.
_SECRET_OPTION = re.compile(
    r"^(-{0,2}[\w.-]*(?:token|key|secret|password|passwd|pwd|auth|credential)[\w.-]*)(=|$)", re.IGNORECASE
)
_SIGN_IN = re.compile(r"(://)[^/@\s]+@")


def discreet(words: Sequence[str]) -> str:
    """A command line for members, logs and models: without what admins may have written into it that is secret."""
    shown: list[str] = []
    hides = False
    for word in words:
        option = _SECRET_OPTION.match(word)
        if hides and not word.startswith("-"):
            word = "•••"
        elif option and option[2]:
            word = f"{option[1]}=•••"
        hides = bool(option and not option[2] and word.startswith("-"))
        shown.append(_SIGN_IN.sub(r"\1•••@", word))
    return " ".join(word if "•••" in word else shlex.quote(word) for word in shown)


def public(url: str) -> str:
    """An address without what may be a secret: who signs in, and the query."""
    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        return "This address"
    return f"{parts.scheme}://{host}{parts.path}" if parts.scheme else parts.path


def _split_path(command: str) -> tuple[str, str]:
    at = max(command.rfind("/"), command.rfind("\\"))
    return (command[:at] or "/", command[at + 1 :]) if at >= 0 else ("", command)


def _normal(directory: str) -> str:
    """A directory as it is compared; Windows' know neither case nor kind of slash."""
    path = directory.replace("\\", "/").rstrip("/") or "/"
    return path.lower() if re.match(r"^[A-Za-z]:", path) else path


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError:
        return []


def _vector(name: str, arguments: Sequence[str]) -> tuple[str, ...]:
    rest = list(arguments)
    if name not in _RUNNERS:
        return (name, *rest)
    if rest and rest[0] == "-y":
        rest = rest[1:]
    # The package that it runs is its first argument; whatever else holds an @ is no version.
    package = next((index for index, argument in enumerate(rest) if not argument.startswith("-")), None)
    version = _PYTHON_VERSION if name in _PYTHON_RUNNERS else _VERSION
    return (
        name,
        *(_without_version(word, version) if index == package else word for index, word in enumerate(rest)),
    )


def _without_version(word: str, is_version: re.Pattern[str]) -> str:
    package, at, version = word.rpartition("@")
    fits = at and _PACKAGE.match(package) and is_version.match(version) and not _ARCHIVE.search(version)
    return package if fits else word
