"""``make test``: the suite on SQLite, and again on PostgreSQL with Redis where both answer."""

import os
import subprocess
import sys
from pathlib import Path

import psycopg
import redis

DATABASE = os.environ.get("GANDER_TEST_DATABASE_URL", "postgres://postgres:postgres@127.0.0.1:5432/postgres")
REDIS = os.environ.get("GANDER_TEST_REDIS_URL", "redis://127.0.0.1:6379/9")


def suite(**environment: str) -> int:
    without = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL")}
    command = [sys.executable, "-m", "pytest", "-q", "-n", "2", "--dist", "loadfile", *sys.argv[1:]]
    return subprocess.call(command, cwd=Path(__file__).parent.parent, env={**without, **environment})


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


def main() -> int:
    print("On SQLite, channel layer in memory", flush=True)
    failed = suite()
    if missing := unreachable():
        print(f"Skipped on PostgreSQL and Redis: {missing} does not answer.", flush=True)
        return failed or int(os.environ.get("CI") == "true")
    print("On PostgreSQL, channel layer on Redis", flush=True)
    return suite(DATABASE_URL=DATABASE, REDIS_URL=REDIS) or failed


if __name__ == "__main__":
    sys.exit(main())
