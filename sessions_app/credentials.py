"""How a request's client proved who it is. The middleware that finds it out stands on an upper floor."""

from django.http import HttpRequest

SESSION = "session"
INGEST = "ingest"


def credential(request: HttpRequest) -> str:
    """``"session"`` for a browser (and for nobody), otherwise the scope of a program's token."""
    return str(getattr(request, "credential", SESSION))


def note_credential(request: HttpRequest, kind: str) -> None:
    """Says it, for :func:`credential` to answer."""
    request.credential = kind  # type: ignore[attr-defined]
