"""COPY: the way into Postgres for what a launch or an import has thousands of."""

from collections.abc import Iterable, Sequence
from typing import Any

import psycopg
from sqlalchemy.orm import Session


def copy(
    session: Session, statement: str, rows: Iterable[Sequence[Any]], types: Sequence[str] = ()
) -> None:
    """Run `COPY ... FROM STDIN` with these rows; a binary one needs the types of its columns."""
    driver = session.connection().connection.driver_connection
    if not isinstance(driver, psycopg.Connection):
        raise TypeError(f"COPY needs psycopg, not {type(driver).__name__}")
    with driver.cursor() as cursor, cursor.copy(statement.encode()) as copying:
        if types:
            copying.set_types(types)
        for row in rows:
            copying.write_row(row)
