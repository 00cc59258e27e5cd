"""The catalogue, the allowlist and the audit log in the admin panel. A secret goes in and never comes out."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join

from extensions import allowlist, runner, secrets
from extensions.models import Allowed, AllowedDirectory, Extension, FetchedAllowlist, Kind, Refusal, Secret
from extensions.policy import DENIED_NAMES


class SecretForm(forms.ModelForm):  # type: ignore[type-arg]
    """Takes a new value; an empty field leaves the stored one as it is."""

    new_value = forms.CharField(
        required=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
        help_text="Written once and never shown again. Empty leaves it as it is.",
    )

    class Meta:
        model = Secret
        fields = ("place", "name")

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if not self.instance.pk and not data.get("new_value"):
            self.add_error("new_value", "Enter the value.")
        return data

    def save(self, commit: bool = True) -> Any:
        if value := self.cleaned_data.get("new_value"):
            self.instance.value = secrets.sealed(value)
        return super().save(commit)


class SecretInline(admin.TabularInline):  # type: ignore[type-arg]
    model = Secret
    form = SecretForm
    extra = 0
    verbose_name = "secret value"


class ExtensionForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = Extension
        fields = (
            *("name", "description", "kind", "command", "arguments", "environment", "url", "headers"),
            *("in_directory", "timeout", "tools", "offered"),
        )

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        kind = data.get("kind")
        if kind == Kind.STDIO and not data.get("command"):
            self.add_error("command", "Give the command that starts it.")
        if kind == Kind.HTTP and not data.get("url"):
            self.add_error("url", "Give the address that it answers at.")
        for name, form in (("arguments", list), ("tools", list), ("environment", dict), ("headers", dict)):
            if name in data and not isinstance(data[name], form):
                self.add_error(name, "Expected a JSON " + ("list." if form is list else "object."))
        environment = data.get("environment")
        if isinstance(environment, dict) and (
            denied := sorted({str(key).upper() for key in environment} & DENIED_NAMES)
        ):
            self.add_error("environment", f"These may not be set: {', '.join(denied)}.")
        return data


@admin.register(Extension)
class ExtensionAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    form = ExtensionForm
    inlines = (SecretInline,)
    list_display = ("name", "kind", "description", "offered")
    list_filter = ("kind", "offered")
    actions = ("test",)

    @admin.action(description="Test: start it and list its tools")
    def test(self, request: HttpRequest, extensions: QuerySet[Extension]) -> None:
        for extension in extensions:
            try:
                tools = runner.tools_of(extension, request.user)
            except runner.NotStarted as error:
                messages.error(request, f"{extension.name}: {error}")
                continue
            names = format_html_join(", ", "{}", ((tool.name,) for tool in tools)) or "none"
            messages.success(request, format_html("{} works. Its tools: {}", extension.name, names))


@admin.register(Allowed)
class AllowedAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ("label", "command", "note", "added_by", "added_at")
    readonly_fields = ("added_by", "added_at")

    def save_model(self, request: HttpRequest, obj: Allowed, form: Any, change: bool) -> None:
        if not change:
            obj.added_by = request.user  # type: ignore[assignment]
        super().save_model(request, obj, form, change)


@admin.register(AllowedDirectory)
class AllowedDirectoryAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ("path",)


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """What happened stays as it was written."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Refusal)
class RefusalAdmin(ReadOnlyAdmin):
    list_display = ("at", "user", "extension", "moment", "command", "reason")
    list_filter = ("moment",)


@admin.register(FetchedAllowlist)
class FetchedAllowlistAdmin(ReadOnlyAdmin):
    list_display = ("address", "fetched_at", "tried_at", "problem")
    # An address may hold a password.
    exclude = ("source",)
    readonly_fields = ("address",)

    @admin.display(description="source")
    def address(self, row: FetchedAllowlist) -> str:
        return allowlist.public(row.source)
