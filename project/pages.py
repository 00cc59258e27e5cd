"""Pages about the site itself."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.templatetags.static import static

from project.api import api
from sessions_app.links import base_url


def api_reference(request: HttpRequest) -> HttpResponse:
    """``/api/docs``: the REST API, from its own OpenAPI document."""
    schema = api.get_openapi_schema()
    operations = [
        {
            "method": method.upper(),
            "path": path,
            "summary": operation.get("summary", ""),
            "parameters": operation.get("parameters", []),
            "body": _body(schema, operation),
        }
        for path, methods in schema["paths"].items()
        for method, operation in methods.items()
    ]
    return render(request, "api_reference.html", {"operations": operations, "base_url": base_url(request)})


def _body(schema: dict, operation: dict) -> list[dict]:  # type: ignore[type-arg]
    """The fields of an operation's JSON body."""
    try:
        reference = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]
    except KeyError:
        return []
    definition = schema["components"]["schemas"][reference.rpartition("/")[2]]
    return [{"name": name, **field} for name, field in definition["properties"].items()]


def robots(request: HttpRequest) -> HttpResponse:
    """Nothing here is for search engines."""
    return HttpResponse("User-agent: *\nDisallow: /\n", content_type="text/plain")


def favicon(request: HttpRequest) -> HttpResponse:
    return redirect(static("icon.svg"))
