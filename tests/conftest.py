"""Who lives in the tests: alice owns, bob is a member, dora administers, and a visitor must not see anything."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client

from project.accounts import tokens
from project.accounts.models import Scope, User
from tests import factories
from tests.components import CHROMIUM, missing
from tests.server import Server


@pytest.fixture(autouse=True)
def _fresh(settings: Any) -> Iterator[None]:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    cache.clear()
    yield


@pytest.fixture
def configure(settings: Any) -> Callable[..., None]:
    """Changes settings of Gander's own for one test."""

    def change(**values: Any) -> None:
        settings.GANDER = settings.GANDER.model_copy(update=values)

    return change


@pytest.fixture
def alice(db: None) -> User:
    return factories.user("alice")


@pytest.fixture
def bob(db: None) -> User:
    return factories.user("bob")


@pytest.fixture
def dora(db: None) -> User:
    return factories.user("dora", staff=True)


@pytest.fixture
def browser_of() -> Callable[[User | None], Client]:
    """A browser in which somebody is signed in, with CSRF protection as in real life."""

    def open_browser(user: User | None) -> Client:
        client = Client()
        if user is not None:
            client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
        return client

    return open_browser


@pytest.fixture
def program_of() -> Callable[..., Client]:
    """A program with a token of somebody's."""

    def make(user: User, scope: Scope = Scope.FULL) -> Client:
        return Client(headers={"Authorization": f"Bearer {tokens.issue(user, 'test', scope)}"})

    return make


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A running server of the module's own, with alice, bob and dora; ``server.tokens`` has a token of each."""
    running = Server(tmp_path_factory.mktemp("server") / "data")
    try:
        running.start()
        running.tokens = {
            "alice": running.add_user("alice"),
            "bob": running.add_user("bob"),
            "dora": running.add_user("dora", "--staff"),
        }
        yield running
    finally:
        running.close()


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings: None) -> None:
    """SQLite's test database is a file: one in memory is shared by threads in another way than a real one."""
    from django.conf import settings

    database = settings.DATABASES["default"]
    if "sqlite3" in database["ENGINE"]:
        database.setdefault("TEST", {})["NAME"] = str(settings.GANDER.data_dir / "test.sqlite3")


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    """Debian's Chromium; it has no sandbox to use where the suite runs as root."""
    if not CHROMIUM.exists():
        missing("Chromium is not installed; apt-get install chromium")
    return {
        **browser_type_launch_args,
        "executable_path": str(CHROMIUM),
        "args": [
            "--no-sandbox",
            "--disable-gpu",
            "--disable-background-networking",
            "--disable-component-update",
        ],
    }
