"""Reading and writing many rows by their key in one statement each, without building model instances.

Building instances and their SQL is most of what a batch would cost otherwise: four times the database's own work.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any, cast

from django.db import connection, models

from sessions_app.json_text import JsonTextField, dumps

_FOREIGN = {"session_id", "message_id"}


def known(
    model: type[models.Model], session_id: Any, column: str, values: Sequence[str], wanted: tuple[str, ...]
) -> list[dict[str, Any]]:
    """The columns ``wanted`` of a session's rows whose ``column`` is among the values, as the driver gives them."""
    if not values:
        return []
    quote = connection.ops.quote_name
    names = ", ".join(map(quote, wanted))
    marks = ", ".join(["%s"] * len(values))
    session = cast("models.Field[Any, Any]", model._meta.get_field("session"))
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {names} FROM {quote(model._meta.db_table)} "  # noqa: S608
            f"WHERE {quote('session_id')} = %s AND {quote(column)} IN ({marks})",
            [session.get_db_prep_value(session_id, connection), *values],
        )
        return [dict(zip(wanted, row, strict=True)) for row in cursor.fetchall()]


def insert_or_update(model: type[models.Model], key: tuple[str, ...], rows: Sequence[dict[str, Any]]) -> None:
    """Inserts rows, or updates those whose key is there. All rows name the same columns."""
    if not rows:
        return
    columns = tuple(rows[0])
    insert, _, assignments = _statements(model, key, columns)
    with connection.cursor() as cursor:
        cursor.executemany(f"{insert} DO UPDATE SET {assignments}", _values(model, columns, rows))


def insert_or_update_counting(
    model: type[models.Model], key: tuple[str, ...], rows: Sequence[dict[str, Any]]
) -> int:
    """Like :func:`insert_or_update`; returns how many rows are new.

    All rows must bear one ``revision`` higher than any stored: it tells the rows just inserted from those to update.
    """
    if not rows:
        return 0
    columns = tuple(rows[0])
    insert, _, _ = _statements(model, key, columns)
    values = _values(model, columns, rows)
    with connection.cursor() as cursor:
        cursor.executemany(f"{insert} DO NOTHING", values)
        new = int(cursor.rowcount)
        if new < len(rows):
            _update(cursor, model, key, columns, values)
    return new


def update(model: type[models.Model], key: tuple[str, ...], rows: Sequence[dict[str, Any]]) -> int:
    """Updates rows that are there, each with a ``revision`` higher than the one stored; returns how many were."""
    columns = tuple(rows[0])
    with connection.cursor() as cursor:
        return _update(cursor, model, key, columns, _values(model, columns, rows))


def _update(
    cursor: Any,
    model: type[models.Model],
    key: tuple[str, ...],
    columns: tuple[str, ...],
    values: list[tuple[Any, ...]],
) -> int:
    _, statement, _ = _statements(model, key, columns)
    order = [columns.index(name) for name in (*_rest(key, columns), *key, "revision")]
    cursor.executemany(statement, [[row[index] for index in order] for row in values])
    return int(cursor.rowcount)


def _rest(key: tuple[str, ...], columns: tuple[str, ...]) -> list[str]:
    return [name for name in columns if name not in key]


@cache
def _statements(
    model: type[models.Model], key: tuple[str, ...], columns: tuple[str, ...]
) -> tuple[str, str, str]:
    quote = connection.ops.quote_name
    table = quote(model._meta.db_table)
    names = ", ".join(quote(name) for name in columns)
    marks = ", ".join(["%s"] * len(columns))
    target = ", ".join(quote(name) for name in key)
    # Names are our own models'; values are passed as parameters.
    insert = f"INSERT INTO {table} ({names}) VALUES ({marks}) ON CONFLICT ({target})"  # noqa: S608
    rest = _rest(key, columns)
    fields = ", ".join(f"{quote(name)} = %s" for name in rest)
    where = " AND ".join(f"{quote(name)} = %s" for name in key)
    update = f"UPDATE {table} SET {fields} WHERE {where} AND {quote('revision')} < %s"  # noqa: S608
    assignments = ", ".join(f"{quote(name)} = excluded.{quote(name)}" for name in rest)
    return insert, update, assignments


def _values(
    model: type[models.Model], columns: tuple[str, ...], rows: Sequence[dict[str, Any]]
) -> list[tuple[Any, ...]]:
    """The rows as the driver takes them; where they name their session, all the same one."""
    return list(zip(*(_column(model, name, [row[name] for row in rows]) for name in columns), strict=True))


def _column(model: type[models.Model], name: str, values: list[Any]) -> list[Any]:
    field = cast(
        "models.Field[Any, Any]",
        model._meta.get_field(name.removesuffix("_id") if name in _FOREIGN else name),
    )
    if name == "session_id":
        return [field.get_db_prep_save(values[0], connection)] * len(values)
    if isinstance(field, JsonTextField):
        return [None if value is None and field.null else dumps(value) for value in values]
    if isinstance(field, models.DateTimeField):
        return [connection.ops.adapt_datetimefield_value(value) for value in values]
    # Numbers, texts and truth values are what drivers take as they are.
    return values
