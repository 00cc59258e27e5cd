"""How to point an agent at this installation, with the person's own key."""

from typing import Any

from django import template

from project.accounts import ingest_key
from sessions_app.links import base_url

register = template.Library()


@register.inclusion_tag("accounts/connect.html", takes_context=True)
def connect_agents(context: dict[str, Any]) -> dict[str, Any]:
    """The lines to copy for opencode, goose and scripts."""
    request = context["request"]
    address = base_url(request)
    return {
        "address": address,
        "ingest_url": f"{address}/k/{ingest_key.of(request.user)}",
        "request": request,
    }
