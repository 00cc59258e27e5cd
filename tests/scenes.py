"""Scenes on an event loop, without a server: who watches, and where it plays."""

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from channels.layers import InMemoryChannelLayer, channel_layers

from project.accounts.models import User


class Signed:
    """A client that is somebody, for good."""

    def __init__(self, user: User) -> None:
        self.credential = user.pk
        self._user = user

    def user_now(self) -> User:
        return self._user


def play(scene: Callable[[], Coroutine[Any, Any, None]], layer: InMemoryChannelLayer | None = None) -> None:
    """Runs it on a thread, a loop and a channel layer of its own: where a browser is open, the main thread's loop runs."""
    before = channel_layers.set("default", layer or InMemoryChannelLayer())
    try:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(asyncio.run, scene()).result()
    finally:
        channel_layers.set("default", before)
