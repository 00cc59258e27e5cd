#!/usr/bin/env python
"""Gander's command line."""

import os
import signal
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
    if sys.argv[1:2] == ["serve"]:
        # Until the server has its own, a signal ends the start as cleanly as it ends the server.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: sys.exit(0))
    from django.core.management import execute_from_command_line
    from django.db.utils import OperationalError, ProgrammingError

    from project.config import ConfigurationError

    try:
        execute_from_command_line(sys.argv)
    except ConfigurationError as error:
        sys.exit(f"gander: {error}")
    except (OperationalError, ProgrammingError) as error:
        reason = " ".join(str(error).split())
        sys.exit(f"gander: the database cannot be used: {reason} (manage.py serve prepares it)")


if __name__ == "__main__":
    main()
