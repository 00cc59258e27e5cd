"""Sessions' links in the admin panel: who opened what, and closing it. Never the content, nor the whole link."""

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from sessions_app import acts
from sharing.links import reset
from sharing.models import SessionLink


class DiscreetAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Filters by what ``list_filter`` offers alone.

    Any other filter in the address would tell, letter by letter, what the list does not show.
    """

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        return lookup.partition("__")[0] in self.list_filter and lookup.count("__") <= 1


@admin.register(SessionLink)
class SessionLinkAdmin(DiscreetAdmin):
    list_display = ("link_hint", "owner", "source", "shared", "created_at", "updated_at")
    list_filter = ("shared", "source")
    search_fields = ("owner__username",)
    list_select_related = ("owner",)
    fields = readonly_fields = ("link_hint", "owner", "source", "shared", "created_at", "updated_at")
    actions = ("close_links", "reset_links")

    def get_queryset(self, request: HttpRequest) -> QuerySet[SessionLink]:
        return (
            super()
            .get_queryset(request)
            .only("id", "share_id", "owner", "source", "shared", "created_at", "updated_at", "revision")
        )

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: SessionLink | None = None) -> bool:
        return False

    def get_actions(self, request: HttpRequest) -> dict[str, object]:  # type: ignore[override]
        return {
            name: action for name, action in super().get_actions(request).items() if name != "delete_selected"
        }

    @admin.action(description="Close the selected links", permissions=["change"])
    def close_links(self, request: HttpRequest, links: QuerySet[SessionLink]) -> None:
        for link in links.filter(shared=True):
            acts.update(link, shared=False)
        messages.success(request, "The links are closed.")

    @admin.action(description="Reset the selected links: the old ones end for good", permissions=["change"])
    def reset_links(self, request: HttpRequest, links: QuerySet[SessionLink]) -> None:
        for link in links:
            reset(link)
        messages.success(request, "The old links have ended.")
