"""One sync of 50 items over HTTP into sessions of several sizes, beside the same bytes upserted by the bare driver.

The floor is what the databases themselves need: the body parsed by the standard library and its messages and parts
upserted by plain ``sqlite3`` or ``psycopg`` in one transaction, into tables of the same columns, indexes and size, with
no Django and no HTTP.
"""

import http.client
import itertools
import json
import os
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

from benchmarks.table import show, wanted
from tests import __main__ as suite
from tests.server import Server, own_database

SIZES = [100, 1_000, 10_000, 50_000]
ITEMS = 50
ROUNDS = 300
WARM_UP = 80
PARTS_PER_MESSAGE = 5


def item(number: int, salt: str = "") -> dict[str, Any]:
    """The part with this number: about 1 KB, as transcripts hold them."""
    message = f"msg_{number // PARTS_PER_MESSAGE:06}"
    data = {"id": f"prt_{number:06}", "sessionID": "ses_1", "messageID": message, "type": "text"}
    return {"type": "part", "data": {**data, "text": f"{salt} {'lorem ipsum dolor ' * 50}"}}


def message(number: int) -> dict[str, Any]:
    data = {
        "id": f"msg_{number:06}",
        "sessionID": "ses_1",
        "role": "assistant",
        "time": {"created": 1_795_000_000_000 + number},
    }
    return {
        "type": "message",
        "data": {
            **data,
            "cost": 0.01,
            "tokens": {"input": 100, "output": 10, "cache": {"read": 1, "write": 1}},
        },
    }


def whole(size: int) -> list[dict[str, Any]]:
    return [
        *(message(number) for number in range(size // PARTS_PER_MESSAGE)),
        *(item(number) for number in range(size)),
    ]


def batches(size: int) -> list[list[dict[str, Any]]]:
    """What a working client sends: the last messages and their parts, changed."""
    parts = range(size - (ITEMS - 10), size)
    messages = range(size // PARTS_PER_MESSAGE - 10, size // PARTS_PER_MESSAGE)
    return [
        [*(message(n) for n in messages), *(item(n, str(round)) for n in parts)] for round in range(ROUNDS)
    ]


def timed(act: Callable[[Any], None], inputs: list[Any]) -> float:
    """Median milliseconds of a call, the first ones not counted."""
    times = []
    for index, given in enumerate(inputs):
        begun = time.perf_counter()
        act(given)
        if index >= WARM_UP:
            times.append((time.perf_counter() - begun) * 1000)
    return statistics.median(times)


def over_http(server: Server, key: str, size: int) -> float:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=300)

    def post(path: str, body: bytes) -> dict[str, Any]:
        connection.request("POST", f"/k/{key}{path}", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        found: dict[str, Any] = json.loads(answer.read())
        assert answer.status == 200, found
        return found

    made = post("/api/share", json.dumps({"sessionID": f"ses_{size}"}).encode())

    def send(items: bytes) -> None:
        post(f"/api/share/{made['id']}/sync", items)

    def body(items: list[dict[str, Any]]) -> bytes:
        return json.dumps({"secret": made["secret"], "data": items}).encode()

    send(body(whole(size)))
    return timed(send, [body(batch) for batch in batches(size)])


# The columns and indexes that Gander's own messages and parts have.
SCHEMA = """
CREATE TABLE session (id INTEGER PRIMARY KEY, revision BIGINT);
INSERT INTO session VALUES (1, 0);
CREATE TABLE message (id {serial}, session_id INTEGER, external_id VARCHAR(200), created_at {time}, role VARCHAR(20),
  input BIGINT, output BIGINT, cost BIGINT, revision BIGINT, data TEXT, UNIQUE (session_id, external_id));
CREATE INDEX message_order ON message (session_id, created_at, external_id);
CREATE INDEX message_revision ON message (session_id, revision);
CREATE TABLE part (id {serial}, session_id INTEGER, message_id BIGINT, external_id VARCHAR(200), kind VARCHAR(50),
  revision BIGINT, data TEXT, UNIQUE (message_id, external_id));
CREATE INDEX part_revision ON part (session_id, revision);
"""
MESSAGE = """INSERT INTO message (session_id, external_id, created_at, role, input, output, cost, revision, data)
VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (session_id, external_id) DO UPDATE SET created_at = excluded.created_at,
input = excluded.input, output = excluded.output, cost = excluded.cost, revision = excluded.revision, data = excluded.data"""
PART = """INSERT INTO part (session_id, message_id, external_id, kind, revision, data)
VALUES (1, (SELECT id FROM message WHERE session_id = 1 AND external_id = ?), ?, ?, ?, ?)
ON CONFLICT (message_id, external_id) DO UPDATE SET revision = excluded.revision, data = excluded.data"""


def upsert(cursor: Any, body: bytes, revision: int, mark: str, moment: Callable[[int], Any]) -> None:
    """Parses a body and stores its items, as plainly as it goes."""
    entries = json.loads(body)["data"]
    messages = [entry["data"] for entry in entries if entry["type"] == "message"]
    parts = [entry["data"] for entry in entries if entry["type"] == "part"]
    cursor.execute(f"UPDATE session SET revision = {mark} WHERE id = 1", (revision,))
    cursor.executemany(
        MESSAGE.replace("?", mark),
        [
            (m["id"], moment(m["time"]["created"]), m["role"], m["tokens"]["input"], m["tokens"]["output"],
             round(m["cost"] * 1e9), revision, json.dumps(m))
            for m in messages
        ],
    )  # fmt: skip
    cursor.executemany(
        PART.replace("?", mark),
        [(p["messageID"], p["id"], p["type"], revision, json.dumps(p)) for p in parts],
    )


def floor_sqlite(size: int) -> float:
    with tempfile.TemporaryDirectory() as directory:
        database = sqlite3.connect(Path(directory) / "floor.sqlite3", isolation_level=None)
        schema = SCHEMA.format(serial="INTEGER PRIMARY KEY AUTOINCREMENT", time="TEXT")
        database.executescript(f"PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; {schema}")
        revision = itertools.count(1)

        def write(body: bytes) -> None:
            cursor = database.cursor()
            cursor.execute("BEGIN IMMEDIATE")
            upsert(
                cursor,
                body,
                next(revision),
                "?",
                lambda ms: datetime.fromtimestamp(ms / 1000, UTC).isoformat(),
            )
            cursor.execute("COMMIT")

        write(json.dumps({"data": whole(size)}).encode())
        return timed(write, [json.dumps({"data": batch}).encode() for batch in batches(size)])


def floor_postgres(size: int) -> float:
    environment, drop = own_database()
    try:
        with psycopg.connect(environment["DATABASE_URL"]) as database:
            database.execute(SCHEMA.format(serial="BIGSERIAL PRIMARY KEY", time="TIMESTAMPTZ").encode())
            database.commit()
            revision = itertools.count(1)

            def write(body: bytes) -> None:
                with database.cursor() as cursor:
                    upsert(
                        cursor, body, next(revision), "%s", lambda ms: datetime.fromtimestamp(ms / 1000, UTC)
                    )
                database.commit()

            write(json.dumps({"data": whole(size)}).encode())
            return timed(write, [json.dumps({"data": batch}).encode() for batch in batches(size)])
    finally:
        drop()


def measure(name: str, floor: Callable[[int], float]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        server = Server(Path(directory) / "data", GANDER_LOG_LEVEL="warning")
        try:
            server.start()
            server.add_user("ada")
            key = server.token("ada", "ingest")
            figures = [(size, over_http(server, key, size), floor(size)) for size in SIZES]
        finally:
            server.close()
    show(
        f"One sync of {ITEMS} items over HTTP, {name}",
        ["parts before", "sync ms", "floor ms", "sync/floor"],
        [[f"{size:,}", f"{ours:.2f}", f"{bare:.2f}", f"{ours / bare:.1f}"] for size, ours, bare in figures],
    )
    growth = figures[-1][1] / figures[0][1]
    worst = max(ours / bare for _, ours, bare in figures)
    wanted(f"{SIZES[-1]:,} parts cost at most 1.25 x {SIZES[0]}", growth <= 1.25, f"{growth:.2f}")
    wanted("the request at most 8 x the floor", worst <= 8, f"{worst:.1f}")


def run() -> None:
    os.environ.pop("DATABASE_URL", None)
    measure("SQLite", floor_sqlite)
    if missing := suite.unreachable():
        print(f"\nNot measured on PostgreSQL: {missing} does not answer.")
        return
    os.environ["DATABASE_URL"] = suite.DATABASE
    measure("PostgreSQL", floor_postgres)
