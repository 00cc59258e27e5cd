"""The threads on which live views read the database: what waits holds none of them, and no connection."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from django.db import close_old_connections

T = TypeVar("T")


class Threads:
    """A few threads, each with a database connection that persists, like a request's."""

    def __init__(self, count: int, name: str) -> None:
        self._pool = ThreadPoolExecutor(count, thread_name_prefix=name)

    async def run(self, work: Callable[..., T], *arguments: Any) -> T:
        """Runs short, synchronous work on one of them."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, _run, work, arguments)


in_thread = Threads(2, "live").run


def _run(work: Callable[..., T], arguments: tuple[Any, ...]) -> T:
    close_old_connections()
    try:
        return work(*arguments)
    finally:
        close_old_connections()
