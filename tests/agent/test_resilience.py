"""Servers that stop, die and come back in the middle of a turn, and several processes that want the same one."""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.agent.conftest import Talk, names, read, settings_for, text
from tests.agent.provider import Provider
from tests.agent.test_turns import WRITE, approve, wait_for
from tests.components import ROOT
from tests.live.test_cluster import Redis
from tests.server import Server


@pytest.fixture
def fresh(tmp_path: Path, prepared: Server, provider: Provider) -> Iterator[Server]:
    server = Server(tmp_path / "data", like=prepared, **settings_for(provider, GANDER_TURN_LEASE_SECONDS="6"))
    try:
        server.start()
        yield server
    finally:
        server.close()


LONG = ("wait 0.1", "say " + " ".join(f"w{number}" for number in range(300)))


def test_a_stopping_server_lets_a_short_turn_end(fresh: Server) -> None:
    talk = Talk(fresh)
    turn = talk.begin("wait 0.1", "say " + "word " * 15)
    wait_for(lambda: len(talk.messages()) == 2)
    assert fresh.stop() == 0
    fresh.start()
    assert talk.turn(turn)["state"] == "done"
    assert text(talk.follow(turn)) == "word " * 15


def test_a_turn_that_had_not_begun_is_run_by_the_next_server(fresh: Server) -> None:
    talk = Talk(fresh)
    turn = talk.begin("say Late.")
    assert fresh.stop() == 0
    fresh.start()
    assert text(talk.follow(turn)) == "Late."
    assert len(talk.messages()) == 2


def test_a_turn_that_a_stop_interrupts_says_so_and_keeps_what_was_said(fresh: Server) -> None:
    talk = Talk(fresh)
    with talk.stream(*LONG) as answer:
        turn = answer.headers["gander-turn"]
        stopping = threading.Thread(target=fresh.stop)

        def stop_soon(event: dict[str, Any]) -> bool:
            if event["id"] == 3:
                stopping.start()
            return False

        # The stream ends cleanly, and its client goes on where it was.
        seen = read(answer, stop_soon)
    stopping.join()
    fresh.start()
    whole = talk.follow(turn)
    assert whole[: len(seen)] == seen
    assert names(whole) == ["message_chunk", "message_complete"]
    assert whole[-1]["stop_reason"] == "interrupted" and len(text(whole).split()) > 30
    message = talk.messages()[-1]
    assert message["info"]["error"]["name"] == "MessageAbortedError"
    assert text(talk.send("say Fine.")) == "Fine."


def test_after_a_kill_the_text_is_kept_but_for_the_very_last(fresh: Server, provider: Provider) -> None:
    talk = Talk(fresh)
    began = time.time()
    turn = talk.begin(*LONG)
    wait_for(lambda: "w35" in str(talk.parts("text")[1:]))
    killed = time.time()
    fresh.stop(signal.SIGKILL)
    fresh.start()
    kept = "".join(part["text"] for part in talk.parts("text")[1:]).split()
    # Half a second on a machine with nothing else to do; here, much else runs.
    written = [word for word, at in provider.sent.items() if began < at < killed - 2]
    assert len(written) > 10 and set(written) <= set(kept)
    wait_for(lambda: talk.turn(turn)["state"] == "interrupted", 20)
    events = talk.follow(turn)
    assert names(events) == ["message_chunk", "error", "message_complete"]
    assert events[-2]["code"] == "interrupted" and text(events).split() == kept
    assert talk.session()["status"] == "idle"
    assert text(talk.send("say Fine.")) == "Fine."


def test_a_question_survives_a_restart(fresh: Server) -> None:
    talk = Talk(fresh)
    turn = talk.begin(WRITE, "then", "say Done.")
    wait_for(lambda: talk.turn(turn)["state"] == "waiting")
    fresh.stop(signal.SIGKILL)
    fresh.start()
    time.sleep(7)  # longer than a lease
    (call,) = talk.turn(turn)["waiting"]
    assert approve(talk, call, "allow_once").status_code == 200
    events = talk.follow(turn)
    assert names(events) == [
        "tool_call",
        "approval_required",
        "tool_result",
        "message_chunk",
        "message_complete",
    ]
    assert events[-1]["stop_reason"] == "end_turn" and (talk.directory / "a.txt").exists()
    assert talk.session()["files"] == 1


def test_a_turn_ends_with_its_session(fresh: Server, provider: Provider) -> None:
    talk = Talk(fresh)
    talk.begin(*LONG)
    wait_for(lambda: len(talk.messages()) == 2)
    assert talk.client.delete(f"/api/sessions/{talk.id}").status_code == 204
    wait_for(lambda: provider.open == 0)
    other = Talk(fresh)
    other.begin(*LONG)
    wait_for(lambda: len(other.messages()) == 2)
    other.client.delete(f"/api/sessions/{other.id}", params={"for_good": True})
    wait_for(lambda: provider.open == 0)
    assert "Traceback" not in fresh.log.read_text()


class Workers:
    """A server that runs no turns itself, and workers that do."""

    def __init__(self, directory: Path, prepared: Server, provider: Provider, count: int) -> None:
        self.redis = Redis(directory)
        self.server = Server(
            directory / "data",
            like=prepared,
            **settings_for(provider, GANDER_TURN_LEASE_SECONDS="10"),
            REDIS_URL=self.redis.url,
            GANDER_TURNS_RUN_IN="worker",
        )
        self.server.start()
        self.log = (directory / "workers.log").open("wb")
        self.processes = [self.start() for _ in range(count)]

    def start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "manage.py", "runworker", "agent-turns"],
            cwd=ROOT,
            env=self.server.environment,
            stdout=self.log,
            stderr=self.log,
        )

    def close(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()
        self.log.close()
        self.server.close()
        self.redis.stop()


@pytest.fixture
def workers(tmp_path: Path, prepared: Server, provider: Provider) -> Iterator[Workers]:
    running = Workers(tmp_path, prepared, provider, 2)
    yield running
    running.close()


def test_two_workers_run_each_turn_once(workers: Workers, provider: Provider) -> None:
    before = len(provider.requests)
    talks = [Talk(workers.server) for _ in range(12)]
    found: list[str] = []
    threads = [
        threading.Thread(
            target=lambda talk=talk: found.append(text(talk.send("wait 0.05", "say " + "word " * 20)))
        )
        for talk in talks
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == ["word " * 20] * 12
    assert len(provider.requests) == before + 12
    first, second = workers.processes
    # One that is told to stop ends its turn; the other takes the next ones.
    turns = [talk.begin("wait 0.1", "say " + "word " * 60) for talk in talks[:4]]
    wait_for(
        lambda: all(talk.turn(turn)["state"] == "running" for talk, turn in zip(talks, turns, strict=False))
    )
    first.send_signal(signal.SIGTERM)
    assert first.wait(15) == 0
    for talk, turn in zip(talks, turns, strict=False):
        assert talk.follow(turn)[-1]["stop_reason"] == "end_turn"
    # One that is killed leaves its turn interrupted.
    turn = talks[0].begin(*LONG)
    wait_for(lambda: talks[0].turn(turn)["state"] == "running")
    second.kill()
    second.wait()
    # Also where no worker is left to see it.
    wait_for(lambda: talks[0].turn(turn)["state"] == "interrupted", 40)
    workers.processes.append(workers.start())
    turn = talks[0].begin("stall")
    wait_for(lambda: talks[0].turn(turn)["state"] == "running")
    time.sleep(1)
    cancelled: Any = talks[0].client.post(f"/api/sessions/{talks[0].id}/turns/{turn}/cancel")
    assert cancelled.status_code == 200
    assert talks[0].follow(turn)[-1]["stop_reason"] == "cancelled"
