"""Where sessions may work: in their owner's own workspace, or under the roots that admins add."""

import os
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db.models import Q

from sessions_app.agent.models import WorkspaceRoot


class OutsideWorkspace(ValueError):
    """A directory in which this person's sessions may not work; the message says which they may use."""


def own(user: Any) -> Path:
    """The person's workspace, made where it is not there yet.

    Raises:
        OutsideWorkspace: it cannot be made.
    """
    path = Path(os.path.realpath(settings.GANDER.workspaces)) / _directory_name(user.get_username())
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise OutsideWorkspace(f"Your workspace cannot be made: {error.strerror}. Ask an admin.") from None
    return path


def _directory_name(username: str) -> str:
    # Django's user names hold letters, digits and @.+-_ alone; two of those would still be no directory of one's own.
    return username if username.strip(".") else f"user-{username}"


def roots(user: Any) -> list[Path]:
    """Every directory under which this person's sessions may work, their own workspace first."""
    rows = WorkspaceRoot.objects.filter(Q(user=user) | Q(user=None)).values_list("path", flat=True)
    return [own(user), *(Path(os.path.realpath(path)) for path in rows if path.startswith("/"))]


def resolve(user: Any, directory: str, *, make: bool = False) -> Path:
    """The directory, without symbolic links in it; a relative one is taken from the person's workspace.

    With ``make`` it is made where it is not there yet.

    Raises:
        OutsideWorkspace: it is none, or lies elsewhere than this person's sessions may work.
    """
    if "\0" in directory or len(directory) > 4000:
        raise OutsideWorkspace("This is no directory.")
    allowed = roots(user)
    try:
        path = Path(os.path.realpath(allowed[0] / directory))
        there = path.is_dir()
    except OSError as error:
        raise OutsideWorkspace(f"This directory cannot be used: {error.strerror}.") from None
    within = [root for root in allowed if path.is_relative_to(root)]
    if not within:
        named = " or ".join(str(root) for root in allowed[:5])
        raise OutsideWorkspace(
            f"Sessions of yours may work under {named}. An admin can add further directories."
        )
    # A root that is not there may be a disk that is not mounted just now.
    if not there and make and any(root.is_dir() for root in within):
        try:
            path.mkdir(parents=True)
        except OSError as error:
            raise OutsideWorkspace(f"{path} cannot be made: {error.strerror}.") from None
        # Somebody may have put a link there meanwhile.
        return resolve(user, str(path))
    if not there:
        raise OutsideWorkspace(f"{path} is not there. Make it first, or name another directory.")
    return path


def near(user: Any, directory: str) -> Path:
    """The directory, where this person's sessions may work in it; else their own workspace.

    Raises:
        OutsideWorkspace: there is none.
    """
    try:
        return resolve(user, directory)
    except OutsideWorkspace:
        return own(user)
