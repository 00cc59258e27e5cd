"""Whether this process is up, and whether it can serve."""

import asyncio
import secrets

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.db import connection
from django.http import HttpResponse, JsonResponse


def alive() -> HttpResponse:
    """``GET /healthz``: the process answers."""
    return JsonResponse({"status": "ok"})


def _database() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


async def _round_trip() -> None:
    layer = get_channel_layer()
    channel = await layer.new_channel()
    nonce = secrets.token_hex(8)
    await layer.send(channel, {"type": "health", "nonce": nonce})
    answer = await layer.receive(channel)
    if answer.get("nonce") != nonce:
        raise RuntimeError("another message came back")


def _channel_layer() -> None:
    async_to_sync(lambda: asyncio.wait_for(_round_trip(), timeout=3))()


def ready() -> HttpResponse:
    """``GET /readyz``: database and channel layer answer; 503 names what fails."""
    checks: dict[str, str] = {}
    for name, check in (("database", _database), ("channel_layer", _channel_layer)):
        try:
            check()
            checks[name] = "ok"
        except Exception as error:
            checks[name] = type(error).__name__
    failing = [name for name, state in checks.items() if state != "ok"]
    return JsonResponse(
        {"status": "failing" if failing else "ok", "checks": checks}, status=503 if failing else 200
    )


def status() -> HttpResponse:
    """``GET /status``: the process answers, as goose's clients ask it."""
    return HttpResponse("ok", content_type="text/plain")


CHECKS = {"/healthz": alive, "/readyz": ready, "/status": status}
