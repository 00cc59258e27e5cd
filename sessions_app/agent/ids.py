"""Ids in opencode's form (``msg_…``, ``prt_…``, ``ses_…``), which sort in the order in which they were made."""

import secrets
import threading
import time

_lock = threading.Lock()
_last = 0


def ascending(prefix: str) -> str:
    """A new id: 48 bits of time and order in hexadecimal, then randomness, as opencode makes them."""
    global _last
    with _lock:
        _last = max(_last + 1, time.time_ns() // 1_000_000 * 0x1000)
        order = _last
    return f"{prefix}_{order & 0xFFFFFFFFFFFF:012x}{secrets.token_hex(7)}"


def milliseconds() -> int:
    """Now, as opencode's ``time`` objects say it."""
    return time.time_ns() // 1_000_000
