"""``manage.py adduser``: an account from a script."""

import secrets
import sys
from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management import BaseCommand, CommandError, CommandParser

from project.accounts.models import User


class Command(BaseCommand):
    help = (
        "Adds an account. The password is read from standard input; without one, it is generated and printed."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="the user name")
        parser.add_argument("--staff", action="store_true", help="may use the admin panel")

    def handle(self, *args: Any, **options: Any) -> None:
        given = "" if sys.stdin is None or sys.stdin.isatty() else sys.stdin.readline().rstrip("\r\n")
        password = given or secrets.token_urlsafe(15)
        user = User(username=options["name"], is_staff=options["staff"], is_superuser=options["staff"])
        try:
            validate_password(password, user)
            user.set_password(password)
            user.full_clean()
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from None
        user.save()
        if given:
            self.stderr.write(f"Added {user.username}.")
        else:
            self.stdout.write(password)
