"""Extensions in turns: real MCP servers over stdio and HTTP, with everything that can go wrong with one."""

import hashlib
import html
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.agent.conftest import Talk, names, settings_for, text
from tests.agent.provider import KEY, Provider
from tests.processes import is_running
from tests.server import Server, free_port

MCP = str(Path(__file__).parent.parent / "extensions" / "mcp_stdio.py")
SECRET = "tops3cret-environment-value"
HEADER = "tops3cret-header-value"


@pytest.fixture(scope="module")
def http_server() -> Iterator[str]:
    port = free_port()
    process = subprocess.Popen([sys.executable, MCP, "http", str(port)], stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}/mcp"
    for _ in range(100):
        try:
            httpx.get(url, timeout=1)
            break
        except httpx.TransportError:
            time.sleep(0.1)
    yield url
    process.kill()
    process.wait()


@pytest.fixture(scope="module")
def catalogue(server: Server, http_server: str) -> Server:
    server.run_python(f"""
        from extensions import secrets
        from extensions.models import Extension, Secret
        stub = Extension.objects.create(
            name="stub", command={sys.executable!r}, arguments=[{MCP!r}], environment={{"GIVEN": "plain"}}, timeout=4,
            in_directory=True
        )
        Secret.objects.create(extension=stub, name="API_TOKEN", value=secrets.sealed({SECRET!r}))
        web = Extension.objects.create(name="web", kind="streamable_http", url={http_server!r}, timeout=10)
        Secret.objects.create(extension=web, place="header", name="X-Token", value=secrets.sealed({HEADER!r}))
        Extension.objects.create(name="big", command={sys.executable!r}, arguments=[{MCP!r}], timeout=60)
        Extension.objects.create(name="few", command={sys.executable!r}, arguments=[{MCP!r}], tools=["echo"])
        Extension.objects.create(name="dies", command={sys.executable!r}, arguments=[{MCP!r}, "dies"])
        Extension.objects.create(name="noisy", command={sys.executable!r}, arguments=[{MCP!r}, "rubbish"])
    """)
    return server


@pytest.fixture
def with_(catalogue: Server) -> Callable[..., Talk]:
    """A session of alice's in which these extensions are on."""

    def make(*wanted: str, **new: Any) -> Talk:
        client = catalogue.client(catalogue.tokens["alice"])
        for name in wanted:
            assert client.post(f"/extensions/{name}/enable").status_code == 200
        return Talk(catalogue, extensions=list(wanted), **new)

    return make


def results(events: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(event["status"], event["result"]) for event in events if event["event"] == "tool_result"]


@pytest.mark.parametrize("name", ["stub", "web"])
def test_a_tool_of_a_real_server_is_called(with_: Callable[..., Talk], name: str, provider: Provider) -> None:
    talk = with_(name)
    events = talk.send(f'call {name}__echo {{"text": "back again"}}', "then", "say Heard.")
    assert results(events) == [("completed", "back again")] and text(events) == "Heard."
    offered = {tool["function"]["name"] for tool in provider.requests[-1]["tools"]}
    assert f"{name}__add" in offered and not any(each.startswith("files__") for each in offered)


def test_what_its_server_does_not_call_read_only_waits(with_: Callable[..., Talk]) -> None:
    talk = with_("stub")
    turn = talk.begin('call stub__add {"a": 1, "b": 2}')
    while talk.turn(turn)["state"] != "waiting":
        time.sleep(0.05)
    (call,) = talk.turn(turn)["waiting"]
    talk.client.post(f"/sessions/{talk.id}/approvals/{call}", json={"action": "allow_once"})
    assert results(talk.follow(turn)) == [("completed", "3")]


def test_a_call_that_waits_for_one_program_is_not_made_by_another(
    catalogue: Server, with_: Callable[..., Talk]
) -> None:
    catalogue.run_python(f"""
        from extensions.models import Extension
        Extension.objects.create(name="moody", command={sys.executable!r}, arguments=[{MCP!r}])
    """)
    talk = with_("moody")
    turn = talk.begin('call moody__add {"a": 1, "b": 2}')
    while talk.turn(turn)["state"] != "waiting":
        time.sleep(0.05)
    (call,) = talk.turn(turn)["waiting"]
    catalogue.run_python("""
        from extensions.models import Extension
        row = Extension.objects.get(name="moody")
        row.arguments = [*row.arguments, "other"]
        row.save()
    """)
    assert talk.turn(turn)["state"] == "cancelled"
    late = talk.client.post(f"/sessions/{talk.id}/approvals/{call}", json={"action": "always_allow"})
    assert late.json()["error"]["code"] == "decided"
    assert "an admin changed the extension moody" in str(talk.messages())
    assert text(talk.send("say Fine.")) == "Fine."


def test_a_process_sees_the_environment_given_and_no_more(with_: Callable[..., Talk]) -> None:
    talk = with_("stub")
    ((status, seen),) = results(talk.send("call stub__environment {}"))
    found = dict(line.split("=", 1) for line in seen.splitlines() if "=" in line)
    assert status == "completed" and found["API_TOKEN"] == "•••" and found["GIVEN"] == "plain"
    ((_, digest),) = results(talk.send("call stub__digest {}"))
    assert digest == hashlib.sha256(SECRET.encode()).hexdigest()
    assert set(found) <= {
        "API_TOKEN",
        "GIVEN",
        "HOME",
        "LOGNAME",
        "PATH",
        "SHELL",
        "TERM",
        "USER",
        "LC_CTYPE",
    }
    assert KEY not in seen


def test_a_process_serves_many_calls_and_works_in_the_sessions_directory(with_: Callable[..., Talk]) -> None:
    talk = with_("stub")
    first = results(talk.send("call stub__process {}"))
    assert first == results(talk.send("call stub__process {}")) and first[0][1].endswith(str(talk.directory))


def test_only_allowed_tools_are_offered(with_: Callable[..., Talk], provider: Provider) -> None:
    talk = with_("few")
    events = talk.send('call few__add {"a": 1, "b": 2}', "then", "say Hm.")
    assert [tool["function"]["name"] for tool in provider.requests[-1]["tools"]] == ["few__echo"]
    assert results(events)[0][0] == "error" and events[-1]["stop_reason"] == "end_turn"


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ('big__huge {"megabytes": 20}', "20,000,000 characters"),
        ("stub__crash {}", "started anew"),
        ("stub__never {}", "did not answer within 4 seconds"),
        ("stub__fails {}", "Error executing tool fails"),
        ('stub__echo {"wrong": 1}', ""),
        ("stub__unknown {}", "stub__unknown"),
        ("stub__echo not json", ""),
    ],
)
def test_a_call_that_goes_wrong_is_a_result_and_the_turn_goes_on(
    with_: Callable[..., Talk], call: str, said: str
) -> None:
    talk = with_("stub", "big")
    events = talk.send(f"call {call}", "then", 'call stub__echo {"text": "alive"}', "then", "say On.")
    (status, result), *others = results(events)
    assert status == "error" and said in result and len(result) < 10_000
    assert others[-1] == ("completed", "alive")
    assert text(events).endswith("On.") and events[-1]["stop_reason"] == "end_turn"
    assert talk.session()["status"] == "idle"
    assert all(part["state"]["status"] in ("completed", "error") for part in talk.parts("tool"))


def test_rubbish_between_messages_is_passed_over(with_: Callable[..., Talk]) -> None:
    talk = with_("stub")
    assert results(talk.send("call stub__babble {}")) == [("completed", "after the rubbish")]


@pytest.mark.parametrize(("name", "said"), [("dies", "no licence found"), ("noisy", "not available")])
def test_an_extension_that_does_not_start_is_told_to_the_model(
    with_: Callable[..., Talk], provider: Provider, name: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name == "noisy":
        pytest.skip("it takes the 30 seconds that a start may take") if os.environ.get(
            "CI"
        ) != "true" else None
    talk = with_(name, "files")
    events = talk.send("say Without it.")
    assert text(events) == "Without it." and names(events)[-1] == "message_complete"
    told = str(provider.requests[-1]["messages"][0])
    assert f"The extension {name}" in told and said in told


def test_the_allowlist_is_asked_when_a_turn_starts_it(
    catalogue: Server, with_: Callable[..., Talk], provider: Provider
) -> None:
    talk = with_("stub")
    catalogue.run_python("""
        from extensions.models import Allowed
        Allowed.objects.create(label="x", command="uvx other")
    """)
    try:
        assert text(talk.send("say Without.")) == "Without."
        assert "has not listed that directory" in str(provider.requests[-1]["messages"][0])
        # So are its owner, and whom to ask, on the page and over REST.
        (turn,) = talk.client.get(f"/api/sessions/{talk.id}/turns").json()["items"]
        (reason,) = turn["missing"]
        assert "has not listed that directory" in reason and "ask dora" in reason
        page = talk.client.get(f"/sessions/{talk.id}", headers={"Accept": "text/html"})
        assert reason in html.unescape(page.text)
        assert not provider.requests[-1].get("tools")
    finally:
        catalogue.run_python("""
            from extensions.models import Allowed, Refusal
            assert Refusal.objects.filter(extension="stub", moment="starting").exists()
            Allowed.objects.all().delete()
        """)


def gone(pid: int) -> bool:
    deadline = time.monotonic() + 20
    while is_running(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not is_running(pid)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_no_process_outlives_the_server(
    tmp_path: Path, prepared: Server, provider: Provider, number: signal.Signals
) -> None:
    server = Server(tmp_path / "data", like=prepared, **settings_for(provider))
    try:
        server.start()
        server.run_python(f"""
            from extensions.models import Extension
            Extension.objects.create(name="stub", command={sys.executable!r}, arguments=[{MCP!r}])
        """)
        server.client(server.tokens["alice"]).post("/extensions/stub/enable")
        found = results(
            Talk(server).send("call stub__process {}", "call stub__child {}", "call stub__daemon {}")
        )
        pids = [int(said.split()[0]) for _, said in found]
        assert all(map(is_running, pids))
        server.stop(number)
        assert all(gone(pid) for pid in pids)
    finally:
        server.close()


def test_one_that_died_between_turns_is_started_anew(with_: Callable[..., Talk]) -> None:
    talk = with_("stub")
    ((_, said),) = results(talk.send("call stub__process {}"))
    os.kill(int(said.split()[0]), signal.SIGKILL)
    assert gone(int(said.split()[0]))
    ((status, again),) = results(talk.send("call stub__process {}"))
    assert status == "completed" and again.split()[0] != said.split()[0]


def test_an_error_that_it_answers_with_ends_nothing(with_: Callable[..., Talk]) -> None:
    talk = with_("stub")
    first, refused, again = results(
        talk.send("call stub__process {}", "then", "call stub__fails {}", "then", "call stub__process {}")
    )
    assert refused[0] == "error" and again == first


def test_a_restart_in_a_turn_asks_whether_it_still_may(catalogue: Server, with_: Callable[..., Talk]) -> None:
    talk = with_("stub")
    turn = talk.begin("call stub__never {}", "then", "call stub__process {}")
    while not (calls := talk.parts("tool")) or calls[0]["state"]["status"] != "running":
        time.sleep(0.01)
    talk.client.post("/extensions/stub/disable")
    (_, late), (status, said) = results(talk.follow(turn))
    assert "did not answer" in late
    assert status == "error" and "may not be used any more" in said
    assert text(talk.send("say Off.")) == "Off."
    talk.client.post("/extensions/stub/enable")


def test_what_it_complains_of_holds_no_secret(
    catalogue: Server, with_: Callable[..., Talk], provider: Provider
) -> None:
    catalogue.run_python(f"""
        from extensions import secrets
        from extensions.models import Extension, Secret
        row = Extension.objects.create(name="blabs", command="sh", arguments=["-c", "echo bad $TOKEN >&2; exit 1"])
        Secret.objects.create(extension=row, name="TOKEN", value=secrets.sealed({SECRET!r}))
    """)
    talk = with_("blabs")
    talk.send("say Hm.")
    told = str(provider.requests[-1]["messages"][0])
    assert "bad •••" in told and SECRET not in told


def test_no_secret_is_told_to_anybody(catalogue: Server, with_: Callable[..., Talk]) -> None:
    """After all that went wrong above: neither answers, nor logs, nor errors hold one."""
    talk = with_("stub", "web")
    talk.send("status 401")
    client = catalogue.client(catalogue.tokens["alice"])
    staff = catalogue.client(catalogue.tokens["dora"])
    seen = catalogue.log.read_text()
    for path in (
        "/api/extensions",
        "/api/models",
        f"/api/sessions/{talk.id}/messages",
        f"/sessions/{talk.id}/agent",
    ):
        for who in (client, staff):
            seen += who.get(path).text
    for secret in (KEY, SECRET, HEADER, *catalogue.tokens.values()):
        assert secret not in seen
