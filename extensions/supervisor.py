"""Stands between the server and an extension's command: ends the command, and all that it started, with the server.

Run by path, isolated, with the server's process id and the command: ``python -I -S supervisor.py PID COMMAND …``. Its
process leads a group of its own, which the MCP library makes and kills too. Linux alone has what it needs (prctl(2)).
"""

import ctypes
import os
import signal
import sys

_PARENT_DEATH_SIGNAL = 1


def _end_all(*_: object) -> None:
    os.killpg(0, signal.SIGKILL)


def main() -> None:
    signal.signal(signal.SIGUSR1, _end_all)
    ctypes.CDLL(None).prctl(_PARENT_DEATH_SIGNAL, signal.SIGUSR1)
    if os.getppid() != int(sys.argv[1]):
        # The server ended before the kernel was asked.
        os._exit(1)
    if not (child := os.fork()):
        signal.signal(signal.SIGUSR1, signal.SIG_DFL)
        try:
            os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606 - an argument vector, no shell
        except OSError as error:
            print(f"{sys.argv[2]}: {error.strerror}", file=sys.stderr, flush=True)
            os._exit(127)
    # The pipes are the command's: held here too, nobody would see that it closed one.
    for descriptor in (0, 1):
        os.close(descriptor)
    os.waitpid(child, 0)
    # What the command left behind ends with it.
    _end_all()


if __name__ == "__main__":
    main()
