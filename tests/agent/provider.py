"""A model provider as a real HTTP server: OpenAI's and Anthropic's streams, and every way in which they fail.

What it answers stands in the prompt, a directive a line:

    say TEXT             writes the text, word by word
    think TEXT           reasons
    call NAME {"a": 1}   calls a tool
    as ID NAME {…}       calls a tool under that id
    then                 what follows is the next answer, given once the tools' results are there
    wait SECONDS         between words, from here on
    stall                sends nothing more, and does not hang up
    cut                  breaks the connection off
    status CODE          answers with an error
    clock COUNT          writes the time, that many times

Without a directive it says "Hello.".
"""

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = "sk-stub-0123456789abcdef"


class _Cut(Exception):
    pass


class Provider:
    """Listens on a port of its own; ``requests`` keeps what it was asked, ``sent`` when each word went out."""

    def __init__(self, port: int = 0) -> None:
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.sent: dict[str, float] = {}
        self.open = 0
        provider = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                provider.requests.append(body)
                provider.headers.append({name.lower(): value for name, value in self.headers.items()})
                provider.open += 1
                try:
                    provider.answer(self, body)
                except (_Cut, OSError):
                    with contextlib.suppress(OSError):
                        self.connection.shutdown(2)
                    self.close_connection = True
                finally:
                    provider.open -= 1

            def log_message(self, *_: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 200

            def handle_error(self, request: Any, client_address: Any) -> None:
                pass

        self.server = Server(("127.0.0.1", port), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def answer(self, handler: BaseHTTPRequestHandler, body: dict[str, Any]) -> None:
        anthropic = handler.path.endswith("/messages")
        prompt, rounds = _asked(body["messages"])
        sections: list[list[str]] = [[]]
        for line in prompt.splitlines():
            if line.strip() == "then":
                sections.append([])
            else:
                sections[-1].append(line)
        lines = sections[min(rounds, len(sections) - 1)] if rounds < len(sections) else ["say Done."]
        directives = [line.partition(" ") for line in lines]
        for word, _, rest in directives:
            if word == "status":
                _refuse(handler, int(rest), anthropic)
                return
        key = handler.headers.get("x-api-key") or handler.headers.get("authorization", "").removeprefix(
            "Bearer "
        )
        if key != KEY:
            _refuse(handler, 401, anthropic)
            return
        handler.send_response(200)
        handler.send_header("content-type", "text/event-stream")
        handler.send_header("transfer-encoding", "chunked")
        handler.end_headers()
        write = _Anthropic(handler, body["model"]) if anthropic else _OpenAI(handler, body["model"])
        known = {"say", "think", "call", "wait", "stall", "cut", "clock", "as"}
        if not any(word in known for word, _, _ in directives):
            directives = [("say", " ", "Hello.")]
        pause = 0.0
        for word, _, rest in directives:
            match word:
                case "say" | "think":
                    for piece in _words(rest):
                        self.sent[piece.strip()] = time.time()
                        (write.text if word == "say" else write.think)(piece)
                        time.sleep(pause)
                case "clock":
                    for _ in range(int(rest)):
                        write.text(f"{time.time():.6f} ")
                        time.sleep(pause)
                case "call":
                    name, _, arguments = rest.partition(" ")
                    write.call(name, arguments or "{}")
                case "as":
                    call_id, _, call = rest.partition(" ")
                    name, _, arguments = call.partition(" ")
                    write.call(name, arguments or "{}", call_id)
                case "wait":
                    pause = float(rest)
                case "stall":
                    while True:
                        # The connection is alive, but nothing is said.
                        time.sleep(0.2)
                        write.comment()
                case "cut":
                    raise _Cut
        write.end()
        _chunk(handler, b"")


def _asked(messages: list[dict[str, Any]]) -> tuple[str, int]:
    """The last prompt's text, and how many answers have been given to it."""
    for index in range(len(messages) - 1, -1, -1):
        message = messages[index]
        content = message["content"]
        if message["role"] != "user":
            continue
        texts = (
            [content]
            if isinstance(content, str)
            else [block["text"] for block in content or [] if block["type"] == "text"]
        )
        if texts:
            rounds = sum(each["role"] == "assistant" for each in messages[index + 1 :])
            # Prompts without an answer between them come as one message.
            return texts[-1], rounds
    return "", 0


def _words(text: str) -> Iterator[str]:
    words = text.split(" ")
    for index, word in enumerate(words):
        yield word + (" " if index < len(words) - 1 else "")


def _refuse(handler: BaseHTTPRequestHandler, status: int, anthropic: bool) -> None:
    kinds = {401: "authentication_error", 404: "not_found_error", 429: "rate_limit_error"}
    error = {"type": kinds.get(status, "api_error"), "message": f"The stub says {status} to {KEY}."}
    body = json.dumps(
        {"type": "error", "error": error} if anthropic else {"error": {**error, "code": None, "param": None}}
    )
    handler.send_response(status)
    handler.send_header("content-type", "application/json")
    handler.send_header("content-length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body.encode())


def _chunk(handler: BaseHTTPRequestHandler, data: bytes) -> None:
    handler.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
    handler.wfile.flush()


class _OpenAI:
    def __init__(self, handler: BaseHTTPRequestHandler, model: str) -> None:
        self.handler, self.model = handler, model
        self.calls = 0
        self.words = 0

    def comment(self) -> None:
        _chunk(self.handler, b": keep-alive\n\n")

    def _send(self, delta: dict[str, Any], finish: str | None = None, **more: Any) -> None:
        chunk = {
            "id": "chatcmpl-1",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": self.model,
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
            **more,
        }
        _chunk(self.handler, f"data: {json.dumps(chunk)}\n\n".encode())

    def text(self, piece: str) -> None:
        self.words += 1
        self._send({"role": "assistant", "content": piece})

    def think(self, piece: str) -> None:
        self._send({"role": "assistant", "reasoning_content": piece})

    def call(self, name: str, arguments: str, call_id: str = "") -> None:
        call_id = call_id or f"call_{time.time_ns()}_{self.calls}"
        function = {"name": name, "arguments": arguments}
        self._send(
            {"tool_calls": [{"index": self.calls, "id": call_id, "type": "function", "function": function}]}
        )
        self.calls += 1

    def end(self) -> None:
        self._send({}, "tool_calls" if self.calls else "stop")
        usage = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}
        last = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": self.model}
        _chunk(
            self.handler,
            f"data: {json.dumps({**last, 'choices': [], 'usage': usage})}\n\ndata: [DONE]\n\n".encode(),
        )


class _Anthropic:
    def __init__(self, handler: BaseHTTPRequestHandler, model: str) -> None:
        self.handler = handler
        self.index = -1
        self.kind = ""
        self.calls = 0
        usage = {
            "input_tokens": 100,
            "output_tokens": 1,
            "cache_read_input_tokens": 40,
            "cache_creation_input_tokens": 10,
        }
        message = {"id": "msg_1", "type": "message", "role": "assistant", "content": [], "model": model}
        self._send(
            "message_start", message={**message, "stop_reason": None, "stop_sequence": None, "usage": usage}
        )

    def comment(self) -> None:
        self._send("ping")

    def _send(self, kind: str, **data: Any) -> None:
        _chunk(self.handler, f"event: {kind}\ndata: {json.dumps({'type': kind, **data})}\n\n".encode())

    def _block(self, kind: str, **block: Any) -> None:
        if self.kind == kind and kind != "tool_use":
            return
        self._close()
        self.index, self.kind = self.index + 1, kind
        self._send("content_block_start", index=self.index, content_block={"type": kind, **block})

    def _close(self) -> None:
        if self.kind == "thinking":
            self._send(
                "content_block_delta",
                index=self.index,
                delta={"type": "signature_delta", "signature": "c2lnbmVk"},
            )
        if self.kind:
            self._send("content_block_stop", index=self.index)
        self.kind = ""

    def text(self, piece: str) -> None:
        self._block("text", text="")
        self._send("content_block_delta", index=self.index, delta={"type": "text_delta", "text": piece})

    def think(self, piece: str) -> None:
        self._block("thinking", thinking="", signature="")
        self._send(
            "content_block_delta", index=self.index, delta={"type": "thinking_delta", "thinking": piece}
        )

    def call(self, name: str, arguments: str, call_id: str = "") -> None:
        self.calls += 1
        self._block("tool_use", id=call_id or f"toolu_{time.time_ns()}_{self.calls}", name=name, input={})
        self._send(
            "content_block_delta",
            index=self.index,
            delta={"type": "input_json_delta", "partial_json": arguments},
        )

    def end(self) -> None:
        self._close()
        delta = {"stop_reason": "tool_use" if self.calls else "end_turn", "stop_sequence": None}
        self._send("message_delta", delta=delta, usage={"output_tokens": 20})
        self._send("message_stop")


if __name__ == "__main__":
    import sys

    Provider(int(sys.argv[1]))
    threading.Event().wait()
