"""``make test``: the suite on SQLite, and again on PostgreSQL with Redis where both answer.

One after the other: beside each other, what one run's tests must see in time the other's keep from happening.
"""

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psycopg
import redis

DATABASE = os.environ.get("GANDER_TEST_DATABASE_URL", "postgres://postgres:postgres@127.0.0.1:5432/postgres")
REDIS = os.environ.get("GANDER_TEST_REDIS_URL", "redis://127.0.0.1:6379/9")
# Every test has a bound of its own (pyproject.toml); this one is for whatever that does not reach.
SECONDS = 35 * 60
# The heading under which pytest says why tests failed; what follows it is the rest of its output.
_FAILURES = re.compile(r"=+ (FAILURES|ERRORS) =+$")


class Suite:
    """One run of the suite, whose lines are printed with its name before them.

    ``failures`` is what it says of failed tests, for it to be said again where the output ends.
    """

    def __init__(self, name: str, **environment: str) -> None:
        self.name = name
        self.failures: list[str] = []
        # Without bytecode, each of the many servers that tests start would compile all of Gander anew.
        own = ("DATABASE_URL", "REDIS_URL", "PYTHONDONTWRITEBYTECODE")
        without = {name: value for name, value in os.environ.items() if name not in own}
        # One more than there are cores: tests wait for servers and browsers as often as not.
        command = [sys.executable, "-m", "pytest", "-q", "-n", str((os.cpu_count() or 1) + 1)]
        # A file's tests share a server. The longest files come first (conftest.py), not those of the most tests.
        command += ["--dist", "loadfile", "--no-loadscope-reorder", *sys.argv[1:]]
        self.process = subprocess.Popen(
            command,
            cwd=Path(__file__).parent.parent,
            # Wide enough for a failed test's line to say what failed.
            env={"COLUMNS": "240", **without, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            # A group of its own, with the processes that it spreads the tests over.
            start_new_session=True,
        )
        self._printing = threading.Thread(target=self._print, daemon=True)
        self._printing.start()

    def _print(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            print(f"{self.name:10} | {line}", end="", flush=True)
            if self.failures or _FAILURES.match(line):
                self.failures.append(f"{self.name:10} | {line}")

    def end(self, deadline: float) -> int:
        """Waits until it has ended, or ends it; its exit status."""
        try:
            status = self.process.wait(max(deadline - time.monotonic(), 0))
        except subprocess.TimeoutExpired:
            print(f"{self.name:10} | did not end within {SECONDS} s, and is stopped", flush=True)
            status = 1
        self.stop()
        self._printing.join(5)
        return status

    def stop(self) -> None:
        """Stops what still runs of it: first so that the tests' servers end, too."""
        for number, seconds in ((signal.SIGINT, 20.0), (signal.SIGKILL, 5.0)):
            with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
                os.killpg(self.process.pid, number)
                self.process.wait(seconds)


def unreachable() -> str:
    """What of the second run's services does not answer."""
    try:
        psycopg.connect(DATABASE, connect_timeout=3).close()
    except psycopg.Error:
        return "PostgreSQL (GANDER_TEST_DATABASE_URL)"
    try:
        redis.Redis.from_url(REDIS, socket_timeout=3).ping()
    except redis.RedisError:
        return "Redis (GANDER_TEST_REDIS_URL)"
    return ""


def run(suite: Suite) -> int:
    """Runs it to its end; nothing of it is left running."""
    try:
        return suite.end(time.monotonic() + SECONDS)
    finally:
        suite.stop()


def main() -> int:
    print("On SQLite, channel layer in memory", flush=True)
    first = Suite("SQLite")
    failed = run(first)
    if missing := unreachable():
        print(f"Skipped on PostgreSQL and Redis: {missing} does not answer.", flush=True)
        return failed or int(os.environ.get("CI") == "true")
    print("On PostgreSQL, channel layer on Redis", flush=True)
    failed = run(Suite("PostgreSQL", DATABASE_URL=DATABASE, REDIS_URL=REDIS)) or failed
    # Of a long output often only the end is kept: there it must stand what failed in the first run.
    print("".join(first.failures), end="", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main())
