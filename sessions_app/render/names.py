"""What tools are called: by their agents, and in words for people."""

# Names that agents give to the same thing.
_KINDS = {
    "shell": "bash", "bash": "bash", "read": "read", "view": "read", "write": "write", "edit": "edit",
    "multiedit": "edit", "apply_patch": "patch", "patch": "patch", "grep": "search", "glob": "search",
    "list": "search", "ls": "search", "tree": "search", "todowrite": "todo", "todoread": "todo", "task": "task", "agent": "task",
    "subagent": "task",
    "webfetch": "web", "websearch": "web", "question": "question", "skill": "skill", "batch": "batch",
}  # fmt: skip
VERBS = {
    "bash": "Ran", "read": "Read", "write": "Wrote", "edit": "Edited", "patch": "Patched", "search": "Searched",
    "todo": "Planned", "task": "Delegated", "web": "Fetched", "question": "Asked", "skill": "Loaded skill",
    "batch": "Called",
}  # fmt: skip
# The same of a call that has not been made yet, as a person is asked about it.
WISHES = {
    "bash": "Run", "read": "Read", "write": "Write", "edit": "Edit", "patch": "Patch", "search": "Search",
    "todo": "Plan", "task": "Delegate", "web": "Fetch", "question": "Ask", "skill": "Load skill", "batch": "Call",
}  # fmt: skip
# Gander's own extension and goose's: their tools do what others call by the bare name.
_BUILT_IN = ("files__", "developer__")
# goose's ``text_editor`` does what its ``command`` says.
_EDITOR = {"view": "read", "write": "write", "create": "write", "str_replace": "edit", "insert": "edit"}


def _bare(name: str) -> str:
    """The name without that of a built-in extension."""
    name = name.lower()
    return next((name.removeprefix(each) for each in _BUILT_IN if name.startswith(each)), name)


def kind_of(name: str, command: str = "") -> str:
    """Which card shows a tool: a known kind, or ``generic``; ``command`` is what a tool of several is told to do."""
    bare = _bare(name)
    if bare == "text_editor":
        return _EDITOR.get(command, "generic")
    return "search" if bare != name.lower() and bare == "search" else _KINDS.get(bare, "generic")


def lists(name: str) -> bool:
    """Whether a tool, of those that search, lists a directory."""
    return _bare(name) in ("list", "ls", "tree")


def shown_name(name: str) -> str:
    """A tool's name as people read it: ``slack__post`` is ``slack · post``."""
    return " · ".join(filter(None, name.removeprefix("mcp__").split("__"))) or name
