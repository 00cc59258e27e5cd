"""Syncs at a steady rate, apart from those who watch: reads what to send as JSON, and answers how that went.

``{"url", "sessions": [[id, secret], …], "rate": batches a second, "seconds"}``
"""

import json
import sys
import time

import httpx

from tests.items import text_part


def main() -> None:
    asked = json.load(sys.stdin)
    sessions = asked["sessions"]
    number = late = 0
    with httpx.Client(base_url=asked["url"], timeout=60) as client:
        begun = time.perf_counter()
        while (passed := time.perf_counter() - begun) < asked["seconds"]:
            wait = begun + number / asked["rate"] - time.perf_counter()
            if wait > 0:
                time.sleep(wait)
            late += wait < -0.5
            id, secret = sessions[number % len(sessions)]
            part = text_part(f"p{number % 5}", "msg_2", f"version {number}")
            body = {"secret": secret, "data": [part]}
            client.post(f"/api/share/{id}/sync", json=body).raise_for_status()
            number += 1
    print(json.dumps({"batches": number, "late": late, "seconds": passed}))


if __name__ == "__main__":
    main()
