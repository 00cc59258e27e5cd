"""``manage.py addtoken``: a credential from a script."""

from typing import Any

from django.core.management import BaseCommand, CommandError, CommandParser

from project.accounts import tokens
from project.accounts.models import Scope, User


class Command(BaseCommand):
    help = "Makes a token for a user and prints it alone; it cannot be shown again."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="the user name")
        parser.add_argument(
            "--scope", choices=[Scope.FULL.value, Scope.INGEST.value], default=Scope.FULL.value
        )
        parser.add_argument("--name", dest="label", default="command line", help="what to call the token")

    def handle(self, *args: Any, **options: Any) -> None:
        user = User.objects.filter(username=options["name"], is_active=True).first()
        if user is None:
            raise CommandError(f"there is no active user {options['name']!r}")
        self.stdout.write(tokens.issue(user, options["label"][:100], Scope(options["scope"])))
