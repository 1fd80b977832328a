"""Which Postgres holds what: tailwatch's own tables and Airflow's metadata."""

import os
from dataclasses import dataclass

import psycopg
from psycopg import sql

from tailwatch import postgres
from tailwatch.errors import PostgresUnavailable, StackDown
from tailwatch.home import Home

OWN = "DATABASE_URL"
AIRFLOW = "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"


@dataclass(frozen=True, kw_only=True)
class Databases:
    """The two addresses."""

    tailwatch: str
    airflow: str
    """With the driver that Airflow uses."""


def start_databases(home: Home) -> Databases:
    """Both databases, on the embedded Postgres unless the environment names others."""
    own, metadata = os.environ.get(OWN), os.environ.get(AIRFLOW)
    if own and metadata:
        return Databases(tailwatch=own, airflow=metadata)
    superuser = postgres.start(home.postgres)
    return Databases(
        tailwatch=own or ensure_database(superuser, "tailwatch"),
        airflow=metadata or _for_airflow(ensure_database(superuser, "airflow")),
    )


def find_database(home: Home) -> str:
    """tailwatch's database, started by nobody: DATABASE_URL, else the embedded one if it runs."""
    if own := os.environ.get(OWN):
        return own
    if postgres.postmaster(home.postgres) is None:
        raise StackDown("no database is running: `tailwatch up` starts one, or set DATABASE_URL")
    return at_database(postgres.start(home.postgres), "tailwatch")


def ensure_database(superuser: str, name: str) -> str:
    """Make the database when it is absent; returns its address."""
    try:
        with psycopg.connect(superuser, autocommit=True, connect_timeout=10) as connection:
            known = connection.execute("select 1 from pg_database where datname = %s", (name,))
            if known.fetchone() is None:
                connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
    except psycopg.Error as error:
        raise PostgresUnavailable(f"the embedded Postgres refused: {error}") from error
    return at_database(superuser, name)


def at_database(url: str, name: str) -> str:
    """The same server and user, another database."""
    return f"{url.rpartition('/')[0]}/{name}"


def _for_airflow(url: str) -> str:
    return url.replace("postgresql://", "postgresql+psycopg2://", 1)
