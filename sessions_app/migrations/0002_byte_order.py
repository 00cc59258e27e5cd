"""On PostgreSQL, ids sort by their bytes, as they do on SQLite and in opencode, whatever the database's language."""

from typing import Any

from django.db import migrations

_COLUMNS = (("message", "external_id", 200), ("part", "external_id", 200))


def use_byte_order(apps: Any, schema_editor: Any) -> None:
    if schema_editor.connection.vendor != "postgresql":
        return
    for table, column, length in _COLUMNS:
        schema_editor.execute(
            f'ALTER TABLE sessions_app_{table} ALTER COLUMN {column} TYPE varchar({length}) COLLATE "C"'
        )


class Migration(migrations.Migration):
    dependencies = (("sessions_app", "0001_initial"),)
    operations = (migrations.RunPython(use_byte_order, migrations.RunPython.noop),)
