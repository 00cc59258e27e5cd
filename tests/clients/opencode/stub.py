#!/usr/bin/env python3
"""Loopback stub: (a) OpenAI-compatible streaming chat provider, (b) opencode share API.

usage: stub.py PORT LOG.jsonl [--scenario rich|simple|slow]
Every request (share + provider) is appended to LOG.jsonl as one JSON object.
POST /_stub/fail  {"op":"create|sync|data|delete","status":500,"body":"...","times":1,"delay":0}
GET  /_stub/state
"""

import argparse
import http.server
import json
import re
import threading
import time
import uuid

ap = argparse.ArgumentParser()
ap.add_argument("port", type=int)
ap.add_argument("log")
ap.add_argument("--scenario", default="rich")
ap.add_argument("--id-mode", default="slice8")
ap.add_argument("--base", default=None)
ap.add_argument("--token-ttl", type=int, default=3600)
ap.add_argument("--org-config", action="store_true")
ap.add_argument("--idempotent", action="store_true")
A = ap.parse_args()
LOCK = threading.RLock()
LOGF = open(A.log, "a", buffering=1)
SHARES, FAILS, LLM_N, POLLS, R429 = {}, [], [0], [0], [0]


def log(o):
    with LOCK:
        LOGF.write(json.dumps(o, ensure_ascii=False) + "\n")


# ---- share merge (same rule as upstream) ----
def key(it):
    d = it.get("data")
    t = it["type"]
    if t == "message":
        return f"message/{d['id']}"
    if t == "part":
        return f"part/{d['messageID']}/{d['id']}"
    return t


# ---- scripted model ----
def T(name, **kw):
    return ("tool", name, kw)


def script(scn, cwd, prompt):
    if scn == "simple":
        return [T("read", filePath=f"{cwd}/README.md"), ("text", "Done. The README says hello.")]
    return [
        (
            "multi",
            [
                ("reasoning", "I should look at the repository first. Then edit `app.py`."),
                ("text", "I'll start by looking around."),
                T("read", filePath=f"{cwd}/README.md"),
                T("glob", pattern="**/*.py"),
                T("grep", pattern="greet", include="*.py"),
            ],
        ),
        T(
            "todowrite",
            todos=[
                {"id": "1", "content": "Write greet()", "status": "in_progress", "priority": "high"},
                {"id": "2", "content": "Run it", "status": "pending", "priority": "medium"},
            ],
        ),
        T("read", filePath=f"{cwd}/app.py"),
        T(
            "edit",
            filePath=f"{cwd}/app.py",
            oldString="print('hi')",
            newString="def greet(name):\n    return f'hello {name}'\n\n\nprint(greet('world'))",
        ),
        T(
            "write",
            filePath=f"{cwd}/notes.md",
            content="# Notes\n\n- <script>alert('xss')</script>\n- api key sk-test-1234567890abcdef\n",
        ),
        T("bash", command='python3 app.py; echo "\u001b[31mred\u001b[0m" ; exit 3', description="Run app"),
        T("read", filePath=f"{cwd}/does-not-exist.txt"),
        T(
            "task",
            description="Look at README",
            prompt="SUBAGENT: summarise README.md",
            subagent_type="general",
        ),
        (
            "text",
            "## Done\n\nI changed `app.py` so that it has a **greet** function:\n\n```python\ndef greet(name):\n    return f'hello {name}'\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n<img src=x onerror=alert(1)> and [a link](javascript:alert(1)).\n",
        ),
    ]


def sse_chunks(req):
    msgs = req["messages"]
    tools = [t["function"]["name"] for t in req.get("tools", [])]
    sysm = " ".join(
        m["content"] if isinstance(m["content"], str) else json.dumps(m["content"])
        for m in msgs
        if m["role"] == "system"
    )

    def txt(m):
        c = m.get("content") or ""
        return c if isinstance(c, str) else " ".join(p.get("text", "") for p in c)

    alltxt = sysm + " " + " ".join(txt(m) for m in msgs if m["role"] == "user")
    last_user = max((i for i, m in enumerate(msgs) if m["role"] == "user"), default=0)
    step = sum(1 for m in msgs[last_user:] if m["role"] == "assistant")
    m = re.search(r"(?:Working directory|cwd): *(\S+)", alltxt)
    cwd = m.group(1) if m else "/tmp"
    base = {
        "id": "chatcmpl-" + uuid.uuid4().hex[:12],
        "object": "chat.completion.chunk",
        "created": int(time.time()),
        "model": req["model"],
    }

    def ch(delta, fin=None, usage=None):
        o = dict(base)
        o["choices"] = [{"index": 0, "delta": delta, "finish_reason": fin}]
        if usage:
            o["usage"] = usage
        return o

    usage = {
        "prompt_tokens": 1200 + 10 * step,
        "completion_tokens": 42,
        "total_tokens": 1242,
        "prompt_tokens_details": {"cached_tokens": 100},
    }
    yield ch({"role": "assistant", "content": ""})
    if not tools or "title generator" in sysm.lower():
        for w in ["Greeting ", "function ", "in app.py"]:
            yield ch({"content": w})
        yield ch({}, "stop", usage)
        return
    lu = txt(msgs[last_user])
    if "SUBAGENT:" in lu:
        steps = [("text", "The README says: hello repo.")]
    elif "PATCH:" in lu:
        steps = [
            T(
                "apply_patch",
                patchText="*** Begin Patch\n*** Add File: added.txt\n+new file\n*** Update File: README.md\n@@\n-hello repo\n+hello patched repo\n*** Delete File: gone.txt\n*** End Patch",
            ),
            ("text", "Patched."),
        ]
    elif "WEB:" in lu:
        steps = [
            T("webfetch", url=f"http://127.0.0.1:{A.port}/page", format="markdown"),
            ("text", "Fetched."),
        ]
    elif "SLOW:" in lu:
        steps = [("slow", " ".join(f"word{i}" for i in range(200)))]
    elif "PLAIN:" in lu or "ERR429:" in lu:
        steps = [("text", "Plain answer: " + lu[-60:])]
    else:
        steps = script(A.scenario, cwd, lu)
    st = steps[min(step, len(steps) - 1)]
    acts = st[1] if st[0] == "multi" else [st]
    ti, fin = 0, "stop"
    for a in acts:
        if a[0] == "reasoning":
            for w in re.findall(r"\S+\s*", a[1]):
                yield ch({"reasoning_content": w})
        elif a[0] == "slow":
            for w in a[1].split():
                yield ch({"content": w + " "})
                time.sleep(0.2)
        elif a[0] == "text":
            for w in re.findall(r"\S+\s*", a[1]):
                yield ch({"content": w})
                if A.scenario == "slow":
                    time.sleep(0.25)
        else:
            _, name, kw = a
            if name not in tools:
                yield ch({"content": f"[tool {name} not offered: {','.join(tools)}] "})
                continue
            fin = "tool_calls"
            args = json.dumps(kw)
            yield ch(
                {
                    "tool_calls": [
                        {
                            "index": ti,
                            "id": "call_" + uuid.uuid4().hex[:16],
                            "type": "function",
                            "function": {"name": name, "arguments": ""},
                        }
                    ]
                }
            )
            for i in range(0, len(args), 24):
                yield ch({"tool_calls": [{"index": ti, "function": {"arguments": args[i : i + 24]}}]})
            ti += 1
    yield ch({}, fin, usage)


class H(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *a):
        pass

    def body(self):
        if "chunked" in (self.headers.get("Transfer-Encoding") or ""):
            out = b""
            while True:
                n = int(self.rfile.readline().split(b";")[0], 16)
                if n == 0:
                    self.rfile.readline()
                    return out
                out += self.rfile.read(n)
                self.rfile.readline()
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def reply(self, status, obj, rec=None, ctype="application/json"):
        raw = (
            obj
            if isinstance(obj, bytes)
            else (obj.encode() if isinstance(obj, str) else json.dumps(obj).encode())
        )
        if rec is not None:
            rec["response"] = {
                "status": status,
                "bytes": len(raw),
                "body": obj if not isinstance(obj, (bytes, list)) else f"<{len(raw)} bytes>",
            }
            log(rec)
        self.send_response(status)
        self.send_header("Content-Type", ctype)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(raw)

    def handle_any(self):
        raw = self.body()
        path = self.path.split("?")[0]
        try:
            js = json.loads(raw) if raw else None
        except Exception:
            js = raw.decode("utf8", "replace")
        rec = {
            "t": round(time.time(), 3),
            "method": self.command,
            "path": self.path,
            "headers": dict(self.headers.items()),
            "body_bytes": len(raw),
            "body": js,
        }
        if path == "/_stub/fail":
            with LOCK:
                FAILS.append(js)
            return self.reply(200, {})
        if path == "/_stub/state":
            return self.reply(
                200,
                {k: {"id": k, "n": len(v["data"]), "sessionID": v["sessionID"]} for k, v in SHARES.items()},
            )
        if path.endswith("/chat/completions"):
            LLM_N[0] += 1
            rec["kind"] = "llm"
            rec["body"] = {
                "model": js["model"],
                "stream": js.get("stream"),
                "n_messages": len(js["messages"]),
                "roles": [m["role"] for m in js["messages"]],
                "tools": [t["function"]["name"] for t in js.get("tools", [])],
            }
            if LLM_N[0] <= 6:
                rec["full"] = js
            log(rec)
            lu = next(
                (
                    m["content"] if isinstance(m["content"], str) else json.dumps(m["content"])
                    for m in reversed(js["messages"])
                    if m["role"] == "user"
                ),
                "",
            )
            if js.get("tools") and "ERR400:" in lu:
                return self.reply(
                    400,
                    {
                        "error": {
                            "message": "stub says bad request",
                            "type": "invalid_request_error",
                            "code": "bad",
                        }
                    },
                )
            if js.get("tools") and "ERR429:" in lu:
                R429[0] += 1
                if R429[0] <= 2:
                    return self.reply(429, {"error": {"message": "Rate limit reached", "type": "rate_limit"}})
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Connection", "close")
            self.end_headers()
            self.close_connection = True
            for c in sse_chunks(js):
                self.wfile.write(b"data: " + json.dumps(c).encode() + b"\n\n")
                self.wfile.flush()
            self.wfile.write(b"data: [DONE]\n\n")
            return None
        if path == "/page":
            return self.reply(
                200, "<html><body><h1>Stub page</h1><p>hello</p></body></html>", None, "text/html"
            )
        if path.endswith("/models"):
            return self.reply(200, {"object": "list", "data": [{"id": "stub-model", "object": "model"}]}, rec)
        if path == "/auth/device/code":
            rec["kind"] = "account"
            POLLS[0] = 0
            return self.reply(
                200,
                {
                    "device_code": "DEV-1",
                    "user_code": "ABCD-1234",
                    "verification_uri_complete": f"http://{self.headers.get('Host')}/device?user_code=ABCD-1234",
                    "expires_in": 600,
                    "interval": 1,
                },
                rec,
            )
        if path == "/auth/device/token":
            rec["kind"] = "account"
            POLLS[0] += 1
            if (js or {}).get("grant_type") == "refresh_token":
                return self.reply(
                    200,
                    {
                        "access_token": "ACCESS-R",
                        "refresh_token": "REFRESH-R",
                        "token_type": "Bearer",
                        "expires_in": 3600,
                    },
                    rec,
                )
            if POLLS[0] < 3:
                return self.reply(
                    400, {"error": "authorization_pending", "error_description": "pending"}, rec
                )
            return self.reply(
                200,
                {
                    "access_token": "ACCESS-D",
                    "refresh_token": "REFRESH-D",
                    "token_type": "Bearer",
                    "expires_in": A.token_ttl,
                },
                rec,
            )
        if path == "/api/user":
            rec["kind"] = "account"
            return self.reply(200, {"id": "acc_42", "email": "dev@example.invalid"}, rec)
        if path == "/api/orgs":
            rec["kind"] = "account"
            return self.reply(200, [{"id": "org_7", "name": "Team Seven"}], rec)
        if path == "/api/config":
            rec["kind"] = "account"
            return self.reply(
                *((200, {"config": {"share": "auto"}}) if A.org_config else (404, {"error": "none"})), rec
            )
        m = re.fullmatch(r"/api/(shares?)(?:/([^/]+))?(?:/(sync|data))?", path)
        rec["kind"] = "share"
        op = None
        if m:
            sid, sub = m.group(2), m.group(3)
            op = {
                ("POST", False, None): "create",
                ("POST", True, "sync"): "sync",
                ("GET", True, "data"): "data",
                ("DELETE", True, None): "delete",
            }.get((self.command, bool(sid), sub))
        with LOCK:
            f = next((f for f in FAILS if f["op"] == op), None)
            if f:
                f["times"] = f.get("times", 1) - 1
                if f["times"] <= 0:
                    FAILS.remove(f)
        if f:
            time.sleep(f.get("delay", 0))
            rec["injected"] = f
            if f.get("status"):
                return self.reply(f["status"], f.get("body", {"error": "injected"}), rec)
        if op == "create":
            with LOCK:
                s = js["sessionID"]
                i = s[-8:]
                if A.id_mode == "uuid":
                    i = uuid.uuid4().hex
                if i in SHARES and A.idempotent and SHARES[i]["sessionID"] == s:
                    return self.reply(
                        200,
                        {
                            "id": i,
                            "secret": SHARES[i]["secret"],
                            "url": f"{A.base or 'http://' + self.headers.get('Host')}/share/{i}",
                        },
                        rec,
                    )
                if i in SHARES:
                    return self.reply(500, "Internal Server Error", rec, "text/plain")
                SHARES[i] = {"sessionID": s, "secret": str(uuid.uuid4()), "data": {}}
            base = A.base or f"http://{self.headers.get('Host')}"
            return self.reply(200, {"id": i, "secret": SHARES[i]["secret"], "url": f"{base}/share/{i}"}, rec)
        sh = SHARES.get(sid) if op in ("sync", "data", "delete") else None
        if op and op != "create" and not sh:
            return self.reply(404, {"error": "not found"}, rec)
        if op == "sync":
            if js.get("secret") != sh["secret"]:
                return self.reply(403, {"error": "bad secret"}, rec)
            with LOCK:
                for it in js["data"]:
                    sh["data"][key(it)] = it
            rec["summary"] = [key(it) for it in js["data"]]
            return self.reply(200, {}, rec)
        if op == "data":
            return self.reply(200, [v for _, v in sorted(sh["data"].items())], rec)
        if op == "delete":
            if (js or {}).get("secret") != sh["secret"]:
                return self.reply(403, {"error": "bad secret"}, rec)
            del SHARES[sid]
            return self.reply(200, {}, rec)
        return self.reply(404, {"error": "no route"}, rec)

    do_GET = do_POST = do_DELETE = do_PUT = do_PATCH = do_HEAD = do_OPTIONS = handle_any


srv = http.server.ThreadingHTTPServer(("127.0.0.1", A.port), H)
srv.daemon_threads = True
print("stub on", A.port, flush=True)
srv.serve_forever()
