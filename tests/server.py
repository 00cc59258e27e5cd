"""A real server: ``manage.py serve`` as a process, with a database of its own."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import time
import uuid
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import httpx
import psycopg
from psycopg import sql

from tests.components import ROOT


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def own_database(template: str = "template1") -> tuple[dict[str, str], Any]:
    """The environment of a new PostgreSQL database where the suite runs on PostgreSQL, and how to drop it."""
    url = os.environ.get("DATABASE_URL")
    if not url:
        return {}, lambda: None
    name = f"gander_test_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
        )
        # It outlives no power cut, so no commit waits for the disk.
        connection.execute(
            sql.SQL("ALTER DATABASE {} SET synchronous_commit TO off").format(sql.Identifier(name))
        )

    def drop() -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(
                sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
            )

    parts = urlsplit(url)
    return {"DATABASE_URL": urlunsplit(parts._replace(path=f"/{name}"))}, drop


# Told apart from the command line: one start of Python adds them all, and it takes a second or two.
_ADD_USERS = """
import json, sys
from project.accounts import tokens
from project.accounts.models import User

made = {}
for name, staff in json.load(sys.stdin).items():
    user = User.objects.create_user(name, password="correct horse battery", is_staff=staff, is_superuser=staff)
    made[name] = tokens.issue(user, "command line")
print(json.dumps(made))
"""


class Server:
    """One installation: start it, stop it, kill it, run its commands.

    Args:
        like: a server that does not run, whose data and people this one begins with. To migrate and to add people takes
            seconds, a copy none.
    """

    def __init__(
        self, data_dir: Path, *arguments: str, like: "Server | None" = None, **environment: str
    ) -> None:
        self.arguments = arguments
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.data_dir = data_dir
        if like is None:
            database, self._drop = own_database()
        else:
            shutil.copytree(like.data_dir, data_dir)
            database, self._drop = own_database(like.database)
        self.environment = {
            **{
                name: value
                for name, value in os.environ.items()
                if not name.startswith(("DJANGO_", "PYTEST_"))
            },
            **database,
            "GANDER_DATA_DIR": str(data_dir),
            "GANDER_PORT": str(self.port),
            "GANDER_LOG_LEVEL": "info",
            **environment,
        }
        self.log = data_dir.parent / f"{data_dir.name}.log"
        self.process: subprocess.Popen[bytes] | None = None
        self.tokens: dict[str, str] = dict(like.tokens) if like else {}

    @property
    def database(self) -> str:
        """The name of its PostgreSQL database, where it has one."""
        return urlsplit(self.environment.get("DATABASE_URL", "")).path.removeprefix("/") or "template1"

    def start(self) -> "Server":
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "serve", *self.arguments],
                cwd=ROOT,
                env=self.environment,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                # A group of its own, as a service manager gives it.
                start_new_session=True,
            )
        deadline = time.monotonic() + 40
        while time.monotonic() < deadline:
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"{self.url}/readyz", timeout=5).status_code == 200:
                    return self
            if self.process.poll() is not None:
                break
            time.sleep(0.1)
        raise AssertionError(f"the server did not start:\n{self.log.read_text()}")

    def __enter__(self) -> "Server":
        """Started, and closed at the block's end."""
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(self, *_: object) -> None:
        self.close()

    def stop(self, number: signal.Signals = signal.SIGTERM, timeout: float = 20) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(timeout)

    def close(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._drop()

    def manage(
        self, *arguments: str, given: str = "", check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Runs a management command on this installation."""
        return subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=self.environment,
            input=given,
            capture_output=True,
            text=True,
            check=check,
            timeout=60,
        )

    def run_python(self, code: str) -> None:
        """Runs a piece of code within this installation's Django."""
        self.manage("shell", "--no-imports", "-c", textwrap.dedent(code))

    def add_users(self, *names: str, staff: str = "") -> dict[str, str]:
        """Adds accounts and returns a token of full scope for each; the password is the suite's usual one."""
        people = json.dumps({name: name == staff for name in names})
        made: dict[str, str] = json.loads(
            self.manage("shell", "--no-imports", "-c", _ADD_USERS, given=people).stdout
        )
        return made

    def add_user(self, name: str, *flags: str) -> str:
        """Adds one account, with ``--staff`` one that administers."""
        return self.add_users(name, staff=name if "--staff" in flags else "")[name]

    def token(self, name: str, scope: str = "full") -> str:
        return self.manage("addtoken", name, "--scope", scope).stdout.strip()

    def client(self, token: str = "") -> httpx.Client:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.Client(base_url=self.url, headers=headers, timeout=60)
