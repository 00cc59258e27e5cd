"""REST over the catalogue, in the words of goose's server guide."""

from typing import Any

from django.http import Http404, HttpRequest
from ninja import Router, Schema
from ninja.errors import HttpError

from extensions import switches
from extensions.models import Extension, Kind

router = Router(tags=["extensions"])


class ExtensionOut(Schema):
    """What a member may know of an extension: neither its environment nor its headers."""

    name: str
    description: str
    type: Kind
    enabled: bool
    timeout: int
    available_tools: list[str]


class ExtensionList(Schema):
    extensions: list[ExtensionOut]


def _out(extension: Extension, enabled: bool) -> dict[str, Any]:
    return {
        "name": extension.name,
        "description": extension.description,
        "type": extension.kind,
        "enabled": enabled,
        "timeout": extension.timeout,
        "available_tools": list(map(str, extension.tools)),
    }


@router.get("/extensions", response=ExtensionList, summary="What may be switched on, and what is")
def list_extensions(request: HttpRequest) -> Any:
    return {"extensions": [_out(each.extension, each.enabled) for each in switches.of(request.user)]}


@router.post(
    "/extensions/{name}/enable", response=ExtensionOut, summary="Switch an extension on, for yourself"
)
def enable_extension(request: HttpRequest, name: str) -> Any:
    try:
        return _out(switches.enable(request.user, name), enabled=True)
    except Extension.DoesNotExist:
        raise Http404 from None
    except switches.Refused as error:
        raise HttpError(403, str(error)) from None


@router.post("/extensions/{name}/disable", response=ExtensionOut, summary="Switch an extension off")
def disable_extension(request: HttpRequest, name: str) -> Any:
    try:
        return _out(switches.disable(request.user, name), enabled=False)
    except Extension.DoesNotExist:
        raise Http404 from None
