"""Who lives in the tests: alice owns, bob is a member, dora administers, and a visitor must not see anything."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client

from project.accounts import tokens
from project.accounts.models import Scope, User
from tests import factories
from tests.components import CHROMIUM, ROOT, missing
from tests.server import Server

# The files that take longest, as the suite's own ``--durations`` says.
_LONGEST = [
    "clients/test_opencode.py",
    "browser/test_reading.py",
    "agent/test_extensions.py",
    "agent/test_resilience.py",
    "browser/test_live.py",
    "live/test_cluster.py",
    "live/test_sockets.py",
    "project/test_serve.py",
    "browser/test_agent.py",
    "agent/test_turns.py",
    "browser/test_pages.py",
    "live/test_slow_readers.py",
    "browser/test_hostile_content.py",
    "browser/test_list.py",
    "project/test_openapi.py",
    "sharing/test_access.py",
    "browser/test_sharing.py",
    "sessions_app/test_hostile_content.py",
    "extensions/test_catalogue.py",
    "extensions/test_connections.py",
]


@pytest.fixture(autouse=True)
def _fresh(settings: Any) -> Iterator[None]:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    cache.clear()
    yield


@pytest.fixture(autouse=True)
def _pages_end_with_their_test(request: pytest.FixtureRequest) -> Iterator[None]:
    """Live pages that stay open would go on reconnecting, for as long as the browser runs."""
    yield
    if "browser" in request.fixturenames:
        for context in request.getfixturevalue("browser").contexts:
            context.close()


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


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """An installation with alice, bob and dora that never runs, for servers that begin ``like`` it."""
    model = Server(tmp_path_factory.mktemp("prepared") / "data")
    try:
        model.manage("migrate")
        model.tokens = model.add_users("alice", "bob", "dora", staff="dora")
        yield model
    finally:
        model.close()


@pytest.fixture(scope="module")
def server(prepared: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A running server of the module's own, with alice, bob and dora; ``server.tokens`` has a token of each."""
    running = Server(tmp_path_factory.mktemp("server") / "data", like=prepared)
    try:
        running.start()
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
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> None:
    """PostgreSQL's tables are emptied by DELETE after a test: TRUNCATE makes new files of all, and waits for the disk."""
    from django.db import connection

    def delete(_style: Any, tables: list[str], **_options: Any) -> list[str]:
        return [f"DELETE FROM {connection.ops.quote_name(table)}" for table in tables]

    if connection.vendor == "postgresql":
        connection.ops.sql_flush = delete
        with django_db_blocker.unblock(), connection.cursor() as cursor:
            cursor.execute("SET synchronous_commit TO off")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes long comes first, for the run's processes to end together."""
    items.sort(key=lambda item: _LONGEST.index(name) if (name := _file(item)) in _LONGEST else len(_LONGEST))


def _file(item: pytest.Item) -> str:
    return item.path.relative_to(ROOT / "tests").as_posix()


# What of Chromium tests have no use for: a fifth of its work. The switch takes the place of playwright's own, whose
# features are named here, too, as far as they matter.
_WITHOUT = (
    "DestroyProfileOnBrowserClose,HttpsUpgrades,HttpsFirstBalancedModeAutoEnable,LensOverlay,MediaRouter,PaintHolding,"
    "ThirdPartyStoragePartitioning,OptimizationHints,PreconnectToSearch,NetworkTimeServiceQuerying,"
    "PreloadTopChromeWebUI,InitialWebUI,WebUIReloadButton"
)


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
            f"--disable-features={_WITHOUT}",
            "--in-process-gpu",
            # Without a graphics card, everything that moves is painted by the processor that the tests run on.
            "--force-prefers-reduced-motion",
        ],
    }
