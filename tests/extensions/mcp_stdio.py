"""A real MCP server over stdio, made with the SDK; its argument chooses how it behaves."""

import hashlib
import os
import subprocess
import sys
import time

if "rubbish" in sys.argv:
    print("this is no JSON-RPC", flush=True)
    time.sleep(60)
if "dies" in sys.argv:
    print("\0no licence found", file=sys.stderr, flush=True)
    sys.exit(3)
if "silent" in sys.argv:
    time.sleep(60)

from mcp.server import MCPServer
from mcp.types import ToolAnnotations

server = MCPServer("stub")


@server.tool(annotations=ToolAnnotations(read_only_hint=True))
def environment() -> str:
    """The names and values of the environment."""
    return "\n".join(f"{name}={value}" for name, value in sorted(os.environ.items()))


@server.tool(annotations=ToolAnnotations(read_only_hint=True))
def digest() -> str:
    """Of the secret that it was given: proves that it has it, without telling it."""
    return hashlib.sha256(os.environ["API_TOKEN"].encode()).hexdigest()


@server.tool()
def add(a: int, b: int) -> int:
    """Adds."""
    return a + b


@server.tool(annotations=ToolAnnotations(read_only_hint=True))
def echo(text: str) -> str:
    """Says it again."""
    return text


@server.tool(annotations=ToolAnnotations(read_only_hint=True))
def process() -> str:
    """Its own process, and where it works."""
    return f"{os.getpid()} in {os.getcwd()}"


@server.tool(annotations=ToolAnnotations(read_only_hint=True))
def child() -> str:
    """A process of its own."""
    return str(subprocess.Popen(["sleep", "600"]).pid)


@server.tool(annotations=ToolAnnotations(read_only_hint=True))
def daemon() -> str:
    """One that leaves its group, as daemons do."""
    return str(subprocess.Popen(["sleep", "600"], start_new_session=True).pid)


@server.tool(annotations=ToolAnnotations(read_only_hint=True))
def huge(megabytes: int) -> str:
    """Much."""
    return "x" * megabytes * 1_000_000


@server.tool(annotations=ToolAnnotations(read_only_hint=True))
def crash() -> str:
    """Dies."""
    print("out of luck", file=sys.stderr, flush=True)
    os._exit(7)


@server.tool(annotations=ToolAnnotations(read_only_hint=True))
def never() -> str:
    """Does not answer."""
    time.sleep(600)
    return ""


@server.tool(annotations=ToolAnnotations(read_only_hint=True))
def babble() -> str:
    """Prints what is no protocol, its secret too, and answers all the same."""
    secret = os.environ.get("API_TOKEN", "").encode()
    os.write(1, b"this is no JSON-RPC\nAPI_TOKEN=" + secret + b'\n{"jsonrpc": 7}\n\xff\xfe\n')
    return "after the rubbish"


@server.tool(annotations=ToolAnnotations(read_only_hint=True))
def fails() -> str:
    """Raises."""
    raise RuntimeError("no such customer")


if __name__ == "__main__":
    if "http" in sys.argv:
        server.run("streamable-http", port=int(sys.argv[-1]))
    else:
        server.run("stdio")
