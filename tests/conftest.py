"""A database for tests, and full words to put into it."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from sqlalchemy.orm import Session

from schema.arrivals import Arrival
from schema.cells import Cell, Engine, Family, Gpu, Precision, Workload
from schema.hosts import Card, Host
from schema.judgements import Comparison, Judgement, Side, Verdict
from schema.lengths import Lengths
from schema.models import Model, Weights
from schema.nights import Night, NightKind
from schema.requests import Request
from schema.session import Role, migrate, open_database
from schema.tables import TABLES
from schema.trials import Arm, Artefact, Build, Check, Launch, Telemetry, Trial, TrialState
from tailwatch.commands.record import record_and_judge
from tailwatch.home import REPOSITORY
from tailwatch.postgres import running_postgres

NIGHT = "2026-11-22"
STARTED = datetime(2026, 11, 22, 1, 0, tzinfo=UTC)
NUMBERS = count()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Files of other projects and of real engines, which are not part of this repository."""
    default = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("TAILWATCH_SHARED_DATA", default))
    if not folder.is_dir():
        pytest.skip(f"{folder} is absent: it holds other people's files")
    return folder


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server's superuser: DATABASE_URL_TEST, else one of our own that lasts for these tests."""
    given = os.environ.get("DATABASE_URL_TEST")
    if given:
        yield given
        return
    with running_postgres(Path(tmp_path_factory.mktemp("postgres"))) as url:
        yield url


@pytest.fixture(scope="session")
def template(postgres_url: str) -> Iterator[str]:
    """Address of a migrated database to clone."""
    with _database(postgres_url) as url:
        migrate(url)
        yield url


@pytest.fixture(scope="session")
def new_database(postgres_url: str, template: str) -> Callable[[], AbstractContextManager[str]]:
    """Makes a migrated database that is dropped on exit; gives its address."""
    return lambda: _database(postgres_url, template)


@pytest.fixture
def empty_database_url(postgres_url: str) -> Iterator[str]:
    """A database that was never migrated."""
    with _database(postgres_url) as url:
        yield url


@pytest.fixture
def own_database_url(new_database: Callable[[], AbstractContextManager[str]]) -> Iterator[str]:
    """A migrated database whose tables a test may change."""
    with new_database() as url:
        yield url


@pytest.fixture(scope="session")
def common_database_url(
    new_database: Callable[[], AbstractContextManager[str]],
) -> Iterator[str]:
    """The migrated database that tests use one after the other."""
    with new_database() as url:
        yield url


@pytest.fixture
def database_url(common_database_url: str) -> str:
    """A migrated database without rows."""
    with psycopg.connect(common_database_url) as connection:
        connection.execute("SET lock_timeout = '5s'")
        for table in reversed(TABLES.sorted_tables):
            connection.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(table.name)))
    return common_database_url


@pytest.fixture
def session(database_url: str) -> Iterator[Session]:
    """A writer's session; what a test does not commit is undone."""
    with Session(open_database(Role.WRITER, database_url)) as session:
        yield session


@contextmanager
def _database(server: str, template: str = "/template1") -> Iterator[str]:
    """A new database, dropped at the end whoever is connected. `template` is its address."""
    name = f"tailwatch_test_{os.getpid()}_{next(NUMBERS)}"
    create = "CREATE DATABASE {} TEMPLATE {}"
    with psycopg.connect(server, autocommit=True) as connection:
        if connection.info.server_version >= 150_000:  # four times as fast without fsync
            create += " STRATEGY FILE_COPY"
        names = (sql.Identifier(one) for one in (name, template.rpartition("/")[2]))
        connection.execute(sql.SQL(create).format(*names))
        try:
            yield f"{server.rpartition('/')[0]}/{name}"
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} (FORCE)").format(sql.Identifier(name)))


def _model() -> Model:
    return Model(
        name="example/tiny-mixtral",
        weights=Weights.DUMMY,
        layers=2,
        hidden=64,
        intermediate=128,
        heads=4,
        kv_heads=2,
        head_dim=16,
        vocabulary=512,
        experts=8,
        active_experts=2,
        max_position=2048,
    )


def _cell(workload: str = "steady", engine: Engine = Engine.VLLM) -> Cell:
    return Cell(
        family=Family(
            engine=engine,
            model=_model(),
            precision=Precision.BF16,
            gpu=Gpu.H100,
            max_model_len=1024,
            settings=(("enforce-eager", None),),
        ),
        workload=Workload(
            name=workload,
            arrival=Arrival.OPEN_LOOP,
            rate=1.0,
            requests=2,
            input_tokens=Lengths(mean=32, longest=64),
            output_tokens=Lengths(mean=3, longest=8),
        ),
    )


def _host() -> Host:
    card = Card(uuid="GPU-1", name="NVIDIA H100", memory_bytes=85_899_345_920, power_limit_w=700.0)
    return Host(
        name="bench-01",
        gpu=Gpu.H100,
        cards=(card,),
        driver="570.86",
        cuda="12.8",
        cpu="EPYC",
        cores=64,
        memory_bytes=2**40,
        kernel="6.8",
        python="3.11.7",
    )


def _build(version: str = "0.32.0", engine: Engine = Engine.VLLM) -> Build:
    return Build(
        engine=engine, version=version, artefact=Artefact.ENVIRONMENT, digest=f"sha256:{version}"
    )


def _requests() -> tuple[Request, ...]:
    good = Request(
        index=0,
        scheduled_s=0.0,
        sent_s=0.001,
        input_tokens=32,
        output_tokens=3,
        event_s=(0.05, 0.06),
        event_tokens=(1, 3),
    )
    return good, Request(index=1, scheduled_s=1.0, sent_s=1.0, input_tokens=32, error="HTTP 503")


def _trial(cell: Cell | None = None, **overrides: Any) -> Trial:
    """A valid trial with some of everything; one that failed has its reason only."""
    facts: dict[str, Any] = {"cell": cell or _cell(), "state": TrialState.VALID, "seed": 7}
    if overrides.get("state") is TrialState.FAILED:
        return Trial(**facts | {"reason": "the engine died"} | overrides)
    facts |= {
        "started_at": STARTED + timedelta(seconds=60),
        "duration_s": 2.5,
        "measurements": {"ttft_p50": 0.049, "itl_p50": 0.01},
        "not_estimable": {"ttft_p99": "2 requests, 1000 are needed"},
        "checks": (Check(name="prefix cache", passed=True, observed=0.0, limit=0.0),),
        "requests": _requests(),
        "server": {"generation_tokens": 3.0},
    }
    return Trial(**facts | overrides)


def _launch(cells: Sequence[Cell] | None = None, **overrides: Any) -> Launch:
    """A launch of two cells on NIGHT, unless told otherwise."""
    cells = (_cell("burst"), _cell("steady")) if cells is None else cells
    facts: dict[str, Any] = {
        "night": NIGHT,
        "arm": Arm.NIGHTLY,
        "replicate": 0,
        "attempt": 1,
        "build": _build(),
        "host": _host(),
        "started_at": STARTED,
        "ended_at": STARTED + timedelta(minutes=3),
        "startup_s": 41.5,
        "caches_warm": True,
        "command": ("vllm", "serve"),
        "environment": {"VLLM_USE_V1": "1"},
        "effective": {"max_num_seqs": "256"},
        "overhead_s": 4.5,
        "phases_s": {"launch": 41.5},
        "log_tail": "ready",
        "telemetry": (
            Telemetry(at_s=0.5, device="GPU-1", memory_bytes=2**36, power_w=310.0),
            Telemetry(at_s=0.5, device="cpu", throttle_reasons=2**40),
        ),
        "trials": tuple(_trial(cell) for cell in cells),
    }
    return Launch(**facts | overrides)


def _night(name: str = NIGHT, **overrides: Any) -> Night:
    facts: dict[str, Any] = {
        "name": name,
        "kind": NightKind.NIGHTLY,
        "matrix": "demo",
        "matrix_digest": "7d0a",
        "contenders": ("vllm==0.32.0",),
        "cells": (_cell("steady"), _cell("burst")),
        "launches": 1,
    }
    return Night(**facts | overrides)


def _judgement(metric: str = "ttft_p50", cell: Cell | None = None, **overrides: Any) -> Judgement:
    """A regression on NIGHT; overrides are those of the comparison."""
    facts: dict[str, Any] = {
        "night": NIGHT,
        "cell": (cell or _cell()).key,
        "metric": metric,
        "baseline": Side(builds=("b1",), trials=("t1",), values=(0.1,), median=0.1),
        "contender": Side(builds=("b2",), trials=("t2",), values=(0.3,), median=0.3),
        "change": 2.0,
        "interval": (1.5, 2.5),
        "confidence": 0.95,
    }
    return Judgement(
        comparison=Comparison(**facts | overrides),
        verdict=Verdict.REGRESSION,
        reason="200 % higher",
        policy="p1",
    )


@pytest.fixture
def make_cell() -> Callable[..., Cell]:
    return _cell


@pytest.fixture
def make_build() -> Callable[..., Build]:
    return _build


@pytest.fixture
def make_trial() -> Callable[..., Trial]:
    return _trial


@pytest.fixture
def make_launch() -> Callable[..., Launch]:
    return _launch


@pytest.fixture
def make_night() -> Callable[..., Night]:
    return _night


@pytest.fixture
def make_judgement() -> Callable[..., Judgement]:
    return _judgement


@pytest.fixture(scope="session")
def hopper_url(new_database: Callable[[], AbstractContextManager[str]]) -> Iterator[str]:
    """A database with the nights of examples/, judged; tests only read it."""
    with new_database() as url:
        assert record_and_judge([REPOSITORY / "examples"], url) == {}
        yield url
