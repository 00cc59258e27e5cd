"""What people fill in about themselves."""

from typing import Any

from django import forms
from django.contrib.auth.forms import BaseUserCreationForm

from project.accounts.models import Scope, User


class AccountForm(BaseUserCreationForm):  # type: ignore[type-arg]
    """A new account with a password of the person's own choice."""

    class Meta:
        model = User
        fields = ("username",)

    def __init__(self, *args: Any, username: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["username"].help_text = "Letters, digits and @ . + - _"
        self.fields["username"].widget.attrs["autocomplete"] = "username"
        self.fields["password1"].help_text = "At least 10 characters, and not a common one."
        self.fields["password2"].help_text = ""
        if username:
            self.fields["username"].initial = username
            self.fields["username"].disabled = True


class TokenForm(forms.Form):
    """A new token."""

    name = forms.CharField(
        max_length=100,
        label="Name",
        widget=forms.TextInput(attrs={"placeholder": "laptop", "autocomplete": "off"}),
    )
    scope = forms.ChoiceField(
        choices=[(scope.value, scope.label) for scope in (Scope.FULL, Scope.INGEST)], label="May do"
    )


class DeviceForm(forms.Form):
    """The code that a program shows."""

    user_code = forms.CharField(
        max_length=20,
        label="Code",
        widget=forms.TextInput(
            attrs={"placeholder": "XXXX-XXXX", "autocomplete": "off", "autocapitalize": "characters"}
        ),
    )

    def clean_user_code(self) -> str:
        letters = "".join(letter for letter in self.cleaned_data["user_code"].upper() if letter.isalpha())
        return f"{letters[:4]}-{letters[4:]}"
