"""Errors, as their cards show them."""

from sessions_app.render.tool import obj, txt

# Some servers answer with a whole page.
_MOST_SHOWN = 1500


def error_of(error: object) -> dict[str, str] | None:
    """An error as its card shows it: type, message (its beginning) and status, never headers."""
    if not isinstance(error, dict):
        return None
    data = obj(error.get("data"))
    message = txt(data.get("message"))
    return {
        "name": txt(error.get("name"))[:200] or "Error",
        "message": message[:_MOST_SHOWN],
        "cut": "yes" if len(message) > _MOST_SHOWN else "",
        "status": str(data["statusCode"]) if isinstance(data.get("statusCode"), int) else "",
    }
