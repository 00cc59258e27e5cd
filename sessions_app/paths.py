"""Paths of the machines that agents run on, which may be of another kind than this one."""

import ntpath
import posixpath
import re

_WINDOWS = re.compile(r"^([A-Za-z]:[\\/]|\\\\)")


def separator(directory: str) -> str:
    """What stands between the names of a path on the machine that this directory is on."""
    return "\\" if _WINDOWS.match(directory) else "/"


def relative(path: str, directory: str) -> str:
    """The path as seen from a directory, where it lies in it."""
    flavour = ntpath if _WINDOWS.match(directory) else posixpath
    within, asked = (flavour.normcase(each) for each in (directory.rstrip("/\\"), path))
    if within and asked == within:
        return "."
    if within and asked.startswith(within + flavour.sep):
        return str(flavour.normpath(path[len(within) + 1 :]))
    return path
