"""Errors, as their cards show them."""

from sessions_app.render.tool import obj, txt


def error_of(error: object) -> dict[str, str] | None:
    """An error as its card shows it: type, message and status, never headers."""
    if not isinstance(error, dict):
        return None
    data = obj(error.get("data"))
    return {
        "name": txt(error.get("name")) or "Error",
        "message": txt(data.get("message")),
        "status": str(data["statusCode"]) if isinstance(data.get("statusCode"), int) else "",
    }
