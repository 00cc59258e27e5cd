"""Several server processes on one listening socket, watched over by the process that began them."""

import contextlib
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable

logger = logging.getLogger(__name__)

_STOPPING_SECONDS = 15.0
_RESTART_AFTER = 1.0


class Workers:
    """Keeps ``count`` processes running until SIGINT or SIGTERM.

    Args:
        work: what each of them does, told its number; it returns when the process is asked to stop.
        on_stop: called in this process before they are asked to.
    """

    def __init__(self, count: int, work: Callable[[int], None], on_stop: Callable[[], None]) -> None:
        self.count = count
        self.work = work
        self._on_stop = on_stop
        self._running: dict[int, int] = {}
        self._stopping = False
        # Nobody writes to it: it ends when this process does, whatever ends it.
        self._alive, self._life = os.pipe()

    def start(self) -> None:
        """Starts them."""
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, lambda *_: self._stop())
        for number in range(self.count):
            self._start(number)

    def run(self) -> None:
        """Starts one anew where one dies, and returns when all have ended."""
        while self._running:
            try:
                pid, status = os.wait()
            except InterruptedError:
                continue
            index = self._running.pop(pid, None)
            if index is not None and not self._stopping:
                logger.error("worker %s ended with status %s; another takes its place", pid, status)
                # What fails at once would fail again and again.
                time.sleep(_RESTART_AFTER)
                if not self._stopping:
                    self._start(index)

    def _start(self, index: int) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        if pid := os.fork():
            self._running[pid] = index
            return
        code = 1
        try:
            # A group of its own: what a terminal or a service manager sends to all would reach it twice.
            os.setpgid(0, 0)
            os.close(self._life)
            threading.Thread(target=self._end_with_parent, daemon=True, name="parent").start()
            for each in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM):
                signal.signal(each, signal.SIG_DFL)
            self.work(index)
            code = 0
        except BaseException:
            logger.exception("a worker failed")
        finally:
            os._exit(code)

    def _end_with_parent(self) -> None:
        os.read(self._alive, 1)
        os.kill(os.getpid(), signal.SIGTERM)

    def _stop(self) -> None:
        """Asks all to stop; whoever has not ended in time is killed."""
        self._stopping = True
        self._on_stop()
        self._send(signal.SIGTERM)
        signal.signal(signal.SIGALRM, lambda *_: self._send(signal.SIGKILL))
        signal.setitimer(signal.ITIMER_REAL, _STOPPING_SECONDS)

    def _send(self, number: signal.Signals) -> None:
        for pid in list(self._running):
            with contextlib.suppress(ProcessLookupError):  # it has just ended
                os.kill(pid, number)
