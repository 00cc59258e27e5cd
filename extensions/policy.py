"""May this extension run? Asked when somebody switches it on, and again whenever it is started."""

import logging
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.utils import timezone

from extensions import allowlist
from extensions.allowlist import Decision
from extensions.models import Allowed, AllowedDirectory, Extension, FetchedAllowlist, Kind, Refusal

logger = logging.getLogger(__name__)

_FIRST_TRIES = timedelta(seconds=15)
# goose's denylist: names by which an environment changes what a program loads or which one runs.
DENIED_NAMES = frozenset(
    [
        "PATH",
        "PATHEXT",
        "SYSTEMROOT",
        "WINDIR",
        "LD_LIBRARY_PATH",
        "LD_PRELOAD",
        "LD_AUDIT",
        "LD_DEBUG",
        "LD_BIND_NOW",
        "LD_ASSUME_KERNEL",
        "DYLD_LIBRARY_PATH",
        "DYLD_INSERT_LIBRARIES",
        "DYLD_FRAMEWORK_PATH",
        "PYTHONPATH",
        "PYTHONHOME",
        "NODE_OPTIONS",
        "RUBYOPT",
        "GEM_PATH",
        "GEM_HOME",
        "CLASSPATH",
        "GO111MODULE",
        "GOROOT",
        "APPINIT_DLLS",
        "SESSIONNAME",
        "COMSPEC",
        "TEMP",
        "TMP",
        "LOCALAPPDATA",
        "USERPROFILE",
        "HOMEDRIVE",
        "HOMEPATH",
    ]
)


class ListUnavailable(Exception):
    """The allowlist cannot be read; the message says why."""


def check(extension: Extension, user: Any, moment: str) -> Decision:
    """Decides, and writes down what is refused. ``moment`` is ``enabling`` or ``starting``."""
    decision = _decide(extension)
    if not decision.allowed:
        Refusal.objects.create(
            user=user if getattr(user, "pk", None) else None,
            extension=extension.name,
            command=shown(extension)[:1000],
            moment=moment,
            reason=decision.reason[:1000],
        )
        logger.warning("extension %s refused at %s: %s", extension.name, moment, decision.reason)
    return decision


def shown(extension: Extension) -> str:
    """The command line or the address, without any secret."""
    if extension.kind == Kind.STDIO:
        return allowlist.discreet([extension.command, *map(str, extension.arguments)])
    return allowlist.public(extension.url)


def _decide(extension: Extension) -> Decision:
    if extension.kind == Kind.BUILTIN:
        return Decision(True)
    names = {str(name).upper() for name in extension.environment}
    names |= {
        name.upper() for name in extension.secrets.filter(place="environment").values_list("name", flat=True)
    }
    if denied := sorted(names & DENIED_NAMES):
        return Decision(False, f"It may not set {', '.join(denied)} in its environment.")
    if settings.GANDER.allowlist_bypass:
        return Decision(True)
    try:
        entries = allowed_commands()
    except ListUnavailable as error:
        return Decision(False, str(error))
    if extension.kind == Kind.HTTP:
        return allowlist.decide_url(extension.url, entries)
    directories = AllowedDirectory.objects.values_list("path", flat=True)
    return allowlist.decide_command(
        extension.command, list(map(str, extension.arguments)), entries, directories
    )


def allowed_commands() -> list[str] | None:
    """Every entry in force: the admin panel's and the fetched list's; ``None`` where there is no allowlist at all.

    Raises:
        ListUnavailable: a list is configured and was never read.
    """
    own = list(Allowed.objects.values_list("command", flat=True))
    source = settings.GANDER.allowlist
    if not source:
        return own or None
    kept = refreshed(source)
    if kept.commands is None:
        raise ListUnavailable(
            f"The allowlist of this installation could not be read yet: {kept.problem or 'it is being read just now.'}"
        )
    # A list that is there and empty allows nothing but what the admin panel adds.
    return [*own, *kept.commands] or ["\0"]


def refreshed(source: str) -> FetchedAllowlist:
    """The list's last good copy, renewed where it is old."""
    row, _ = FetchedAllowlist.objects.get_or_create(source=source)
    now = timezone.now()
    # Until it was read once, nothing may run.
    every = timedelta(minutes=settings.GANDER.allowlist_minutes) if row.commands is not None else _FIRST_TRIES
    if row.tried_at is not None and now - row.tried_at < every:
        return row
    row.tried_at = now
    # Whoever asks meanwhile goes by the last good copy, and does not fetch it too.
    row.save(update_fields=["tried_at"])
    # Its libraries take a tenth of a second to load, which a start is not to wait for.
    from extensions import fetching

    try:
        row.commands = fetching.commands(source)
        row.fetched_at, row.problem = now, ""
    except fetching.Unreadable as error:
        row.problem = str(error)[:500]
        logger.warning(
            "the allowlist %s cannot be read, the last good copy stays: %s",
            allowlist.public(source),
            row.problem,
        )
    row.save()
    return row
