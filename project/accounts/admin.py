"""Members, invitations and tokens in the admin panel."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import Group
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html

from project.accounts.models import Invitation, Token, User, digest, new_secret
from sessions_app.links import base_url
from sharing.admin import DiscreetAdmin

# Groups are not used: a member is staff or is not.
admin.site.unregister(Group)

admin.site.site_header = "Gander administration"
admin.site.site_title = "Gander"
admin.site.index_title = "Members, tokens and links"


@admin.register(User)
class MemberAdmin(UserAdmin):  # type: ignore[type-arg]
    list_display = ("username", "email", "is_staff", "is_active", "last_login", "date_joined")

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """What goes with a member: counted, as their content is neither to be read here nor to be loaded whole."""
        owned = [(user, user.sessions.count()) for user in objs]
        said = [f"{user} and {count} session{'' if count == 1 else 's'}" for user, count in owned]
        return said, {"members": len(owned), "sessions": sum(count for _, count in owned)}, set(), []


@admin.register(Invitation)
class InvitationAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ("username", "is_staff", "created_by", "created_at", "accepted_by", "accepted_at")
    fields = ("username", "is_staff")

    def has_change_permission(self, request: HttpRequest, obj: Invitation | None = None) -> bool:
        # A changed invitation would not be the one that was sent.
        return obj is None and super().has_change_permission(request, obj)

    def has_view_permission(self, request: HttpRequest, obj: Invitation | None = None) -> bool:
        return super().has_view_permission(request, obj) or super().has_change_permission(request, obj)

    def save_model(self, request: HttpRequest, obj: Invitation, form: Any, change: bool) -> None:
        secret = new_secret()
        obj.digest = digest(secret)
        obj.created_by_id = request.user.pk
        super().save_model(request, obj, form, change)
        link = base_url(request) + reverse("accounts:invitation", args=[secret])
        messages.info(
            request,
            format_html("Send this link, which is shown only now and good for 7 days: <code>{}</code>", link),
        )


@admin.register(Token)
class TokenAdmin(DiscreetAdmin):
    list_display = ("name", "user", "scope", "hint", "created_at", "expires_at", "last_used_at")
    list_filter = ("scope",)
    search_fields = ("name", "user__username", "hint")
    list_select_related = ("user",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        # A token's secret is for its user alone to see.
        return False

    def has_change_permission(self, request: HttpRequest, obj: Token | None = None) -> bool:
        return False
