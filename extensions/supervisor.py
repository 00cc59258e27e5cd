"""Stands between the server and an extension's command: ends the command, and all that it started, with the server.

Run by path, isolated, with the server's process id and the command: ``python -I -S supervisor.py PID COMMAND …``. Its
process leads a group of its own, which the MCP library makes and kills too. Linux alone has what it needs (prctl(2)).
"""

import contextlib
import ctypes
import os
import signal
import sys
import time
from collections.abc import Iterator

_PARENT_DEATH_SIGNAL = 1
_CHILD_SUBREAPER = 36
_ROUNDS = 100


def _end_all(*_given: object) -> None:
    # What has left the group, as daemons do, is a descendant all the same. What they start meanwhile becomes ours.
    for _ in range(_ROUNDS):
        others = list(_descendants(os.getpid()))
        for pid in others:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if not others:
            break
        time.sleep(0.01)
    os.killpg(0, signal.SIGKILL)


def _descendants(pid: int) -> Iterator[int]:
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as listed:  # noqa: PTH123 - it is started often, pathlib takes its time
            children = [int(child) for child in listed.read().split()]
    except OSError:
        return
    for child in children:
        yield child
        yield from _descendants(child)


def main() -> None:
    signal.signal(signal.SIGUSR1, _end_all)
    # The command is told too, as one of the group, and may have something to finish; what it leaves is ended then.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    ctypes.CDLL(None).prctl(_PARENT_DEATH_SIGNAL, signal.SIGUSR1)
    ctypes.CDLL(None).prctl(_CHILD_SUBREAPER, 1)
    if os.getppid() != int(sys.argv[1]):
        # The server ended before the kernel was asked.
        os._exit(1)
    if not (child := os.fork()):
        for number in (signal.SIGUSR1, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        try:
            os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606 - an argument vector, no shell
        except OSError as error:
            print(f"{sys.argv[2]}: {error.strerror}", file=sys.stderr, flush=True)
            os._exit(127)
    # The pipes are the command's: held here too, nobody would see that it closed one.
    for descriptor in (0, 1):
        os.close(descriptor)
    while os.wait()[0] != child:
        pass
    # What the command left behind ends with it.
    _end_all()


if __name__ == "__main__":
    main()
