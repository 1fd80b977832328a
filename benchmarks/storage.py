"""What a trial takes on disk and how long recording it takes, against a bare COPY of its bytes.

    python benchmarks/storage.py
    python benchmarks/storage.py --document LAUNCH.json

Streams are drawn as engines send them: many in step with noise of the step and of each stream, and
one alone. With a document (as `python -m runners` writes it) the gaps of its trials are drawn from
as well. Both COPYs go into tables alike, in turns, each with its own commit, and without fsync,
which would hide our part. Exit code 1 when a token takes more than 2 bytes or our COPY more than
1.5 times the bare one.
"""

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import accumulate, pairwise
from math import exp
from pathlib import Path
from statistics import median

import psycopg
from sqlalchemy import Connection, text
from sqlalchemy.orm import Session

from dags.retention import KEEP_DAYS, sketches_of
from schema.cells import Gpu
from schema.hosts import Host
from schema.matrix import load_matrix
from schema.nights import Night, NightKind
from schema.requests import NONE, Request, Requests
from schema.session import Role, migrate, open_database, writing
from schema.store.launches import record
from schema.store.nights import record_night
from schema.store.requests import keep_requests
from schema.store.sketches import keep_sketches
from schema.trials import Arm, Artefact, Build, Launch, Telemetry, Trial, TrialState
from tailwatch.postgres import running_postgres

REQUESTS, TOKENS, STREAMS = 1000, 512, 128
MOST_BYTES, MOST_TIMES = 2.0, 1.5
TRIALS_A_NIGHT = 160 * 3
NIGHT = "2026-01-15"
USUAL = "128 in step, 20 ms, noise 30 %, jitter 200 us"
BARE_TABLE = """
CREATE TABLE bare (LIKE requests INCLUDING ALL, FOREIGN KEY (trial) REFERENCES trials (key))
    PARTITION BY RANGE (launched_at);
CREATE TABLE bare_2026_01 PARTITION OF bare FOR VALUES FROM ('2026-01-01') TO ('2026-02-01')
"""
BARE = "COPY bare (trial, launched_at, packed) FROM STDIN (FORMAT BINARY)"
ENCODED = "COPY (SELECT %s::text, %s::timestamptz, %s::bytea) TO STDOUT (FORMAT BINARY)"
SIZES = """
SELECT pg_total_relation_size('sketches'),
       pg_total_relation_size('telemetry') / (SELECT count(*) FROM telemetry)
"""
DISK = "SELECT sum(pg_total_relation_size(relid)) FROM pg_partition_tree('requests')"


def request(index: int, sent_s: float, events: Sequence[float]) -> Request:
    return Request(
        index=index, scheduled_s=sent_s, sent_s=sent_s + 0.0002, input_tokens=512,
        output_tokens=TOKENS, event_s=tuple(events), event_tokens=tuple(range(1, TOKENS + 1)),
    )  # fmt: skip


def in_step(gap_s: float, noise: float, jitter_s: float) -> list[Request]:
    """Streams that share the engine's steps: each step log-normal, each arrival a little late."""
    source = random.Random(gap_s)
    rounds = -(-REQUESTS // STREAMS)
    steps = rounds * (TOKENS + 8)
    ends = list(accumulate(gap_s * exp(source.gauss(0, noise)) for _ in range(steps)))
    made = []
    for index in range(REQUESTS):
        first = index // STREAMS * (TOKENS + 4) + source.randrange(4)
        arrived = [end + abs(source.gauss(0, jitter_s)) for end in ends[first : first + TOKENS]]
        made.append(request(index, max(0.0, ends[first] - gap_s), arrived))
    return made


def alone(draw: Callable[[random.Random], float]) -> list[Request]:
    """One stream after the other, every gap drawn by itself."""
    source, now, made = random.Random(1), 0.0, []
    for index in range(REQUESTS):
        events = list(accumulate((draw(source) for _ in range(TOKENS)), initial=now + 0.03))[1:]
        made.append(request(index, now, events))
        now = events[-1] + 0.001
    return made


def profiles(document: Path | None) -> dict[str, list[Request]]:
    found = {
        "128 in step, 10 ms, noise 1 %, jitter 50 us": in_step(0.010, 0.01, 50e-6),
        USUAL: in_step(0.020, 0.30, 200e-6),
        "128 in step, 50 ms, noise 50 %, jitter 1 ms": in_step(0.050, 0.50, 1e-3),
        "1 alone, 6.5 ms, +-50 us": alone(lambda source: source.gauss(0.0065, 50e-6)),
        "1 alone, 20 ms, noise 30 %": alone(lambda source: 0.020 * exp(source.gauss(0, 0.30))),
        "1 alone, exponential gaps of 20 ms": alone(lambda source: source.expovariate(50)),
    }
    if document is not None:
        for trial in Launch.model_validate_json(document.read_bytes()).trials:
            seen = [b - a for own in trial.requests for a, b in pairwise(own.event_s)]
            name = f"gaps of {document.name}, {trial.cell.workload.name}"
            found[name] = alone(lambda source, seen=seen: source.choice(seen))
    return found


CELL = load_matrix("demo").cells[0]


def launch(packed: Requests, replicate: int) -> Launch:
    """A launch of one trial, with telemetry of ten minutes at 5 Hz of a card and the host."""
    began = datetime(2026, 1, 15, tzinfo=UTC)
    source = random.Random(replicate)
    readings = tuple(
        Telemetry(
            at_s=at / 5 + source.random() / 1e3, device=device, memory_bytes=65 << 30,
            utilisation=round(source.random(), 2), power_w=source.randrange(300_000, 700_000) / 1e3,
            energy_j=at * 100 + source.randrange(100_000) / 1e3, throttle_reasons=4 * (at % 9 == 0),
            sm_clock_hz=1.98e9 - 15e6 * source.randrange(3), temperature_c=60.0 + at % 8,
        )
        for at in range(5 * 600)
        for device in ("cpu", "GPU-7d4a9f0e-8b1c")
    )  # fmt: skip
    build = Build(engine=CELL.family.engine, version="0.32.0", artefact=Artefact.ENVIRONMENT,
                  digest="sha256:0")  # fmt: skip
    host = Host(name="bench", gpu=Gpu.CPU, cpu="any", cores=2, memory_bytes=1, kernel="6",
                python="3.11")  # fmt: skip
    trial = Trial(cell=CELL, state=TrialState.VALID, seed=1, started_at=began, duration_s=60.0,
                  requests=packed)  # fmt: skip
    return Launch(
        night=NIGHT, arm=Arm.AD_HOC, replicate=replicate, attempt=1, build=build, host=host,
        started_at=began, ended_at=began + timedelta(minutes=10), telemetry=readings,
        trials=(trial,),
    )  # fmt: skip


def stripped(one: Launch) -> Launch:
    """As a launch whose requests and telemetry are kept afterwards."""
    trial = one.trials[0].model_copy(update={"requests": NONE})
    return one.model_copy(update={"trials": (trial,), "telemetry": ()})


def timed(act: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    began = clock()
    act()
    return clock() - began


def ours(connection: Connection, one: Launch) -> float:
    """Seconds from the document in memory until its requests are committed."""
    with Session(connection) as session:
        session.execute(text("SELECT 1"))
        return timed(lambda: (keep_requests(session, one), session.commit()))


def bare(connection: psycopg.Connection, encoded: bytes) -> float:
    """Seconds that Postgres needs for the same bytes, encoded beforehand."""

    def copy() -> None:
        with connection.cursor() as cursor, cursor.copy(BARE) as into:
            into.write(encoded)
        connection.commit()

    connection.execute("SELECT 1")
    return timed(copy)


def encoded(connection: psycopg.Connection, one: Launch) -> bytes:
    """A trial's requests as COPY takes them."""
    values = [one.trial_key(one.trials[0]), one.started_at, one.trials[0].requests.packed]
    with connection.cursor() as cursor, cursor.copy(ENCODED, values) as out:
        return b"".join(bytes(block) for block in out)


def side_by_side(url: str, packed: Requests, times: int) -> tuple[list[float], list[float]]:
    """(ours, bare), seconds, one trial each; whoever is first takes turns too."""
    mine, theirs = [], []
    with open_database(Role.WRITER, url).connect() as writer, psycopg.connect(url) as plain:
        for at in range(times + 1):
            one = launch(packed, at)
            with writing(url) as session:
                record(session, stripped(one))
            content = encoded(plain, one)
            if at % 2:
                mine.append(ours(writer, one))
            theirs.append(bare(plain, content))
            if not at % 2:
                mine.append(ours(writer, one))
    return mine[1:], theirs[1:]  # the first pair fills the caches


def on_disk(url: str, packed: Requests, copies: int = 10) -> float:
    """Bytes that a trial takes with its share of indexes and of everything else."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("TRUNCATE requests")
        with open_database(Role.WRITER, url).connect() as writer:
            for at in range(copies):
                ours(writer, launch(packed, at))
        (size,) = connection.execute(DISK).fetchone() or (0,)
    return float(size) / copies


def spread(seconds: Sequence[float]) -> str:
    low, high = min(seconds) * 1e3, max(seconds) * 1e3
    return f"median {median(seconds) * 1e3:.1f} ms, {low:.1f} to {high:.1f} ms"


def tell_times(url: str, requests: Sequence[Request], times: int) -> float:
    """Print them; returns our COPY as a multiple of the bare one."""
    packed = Requests.of(requests)
    mine, theirs = side_by_side(url, packed, times)
    ratios = [a / b for a, b in zip(mine, theirs, strict=True)]
    ratio = median(mine) / median(theirs)
    size = f"{len(packed.packed):,} bytes"
    print(f"COPY of {REQUESTS:,} requests x {TOKENS} tokens, {size}, {times} pairs in turns")
    print(f"  ours, document in memory to committed  {spread(mine)}")
    print(f"  bare COPY of the same bytes            {spread(theirs)}")
    print(f"  ratio of the medians                   {ratio:.2f}, limit {MOST_TIMES}; "
          f"of each pair {min(ratios):.2f} to {max(ratios):.2f}")  # fmt: skip
    launches = [launch(packed, 1000 + at) for at in range(times)]
    document = launches[0].model_dump_json()
    packing = [timed(lambda: Requests.of(requests), time.process_time) for _ in range(5)]
    reading = [
        timed(lambda: Launch.model_validate_json(document), time.process_time) for _ in range(5)
    ]
    print(f"  packing them, once, on the host        {spread(packing)} of CPU")
    print(
        f"  reading the document of {len(document) / 1e6:.1f} MB         {spread(reading)} of CPU"
    )
    print(f"  record(), 6,000 readings included      {spread(recorded(url, launches))}")
    return ratio


def recorded(url: str, launches: Sequence[Launch]) -> list[float]:
    """Seconds that the whole of record() takes for each, committed."""
    seconds = []
    with open_database(Role.WRITER, url).connect() as writer:
        for one in launches:
            with Session(writer) as session:
                seconds.append(timed(lambda: (record(session, one), session.commit())))  # noqa: B023
    return seconds


def tell_disk(url: str, drawn: dict[str, list[Request]]) -> float:
    """Print bytes for each token; returns the most."""
    print(f"\nbytes on disk for each token, {REQUESTS:,} requests x {TOKENS} tokens")
    most = 0.0
    for name, requests in drawn.items():
        packed = Requests.of(requests)
        each = on_disk(url, packed) / REQUESTS / TOKENS
        print(f"  {name:50} {each:.2f}, times to {packed.unit_s / 2 * 1e6:g} us")
        most = max(most, each)
    print(f"  most {most:.2f}, limit {MOST_BYTES:g}")
    return most


def tell_year(url: str, packed: Requests) -> None:
    """What a database holds after a year, from what such a trial took."""
    kept = on_disk(url, packed)
    with psycopg.connect(url, autocommit=True) as connection:
        keys = [key for (key,) in connection.execute("SELECT trial FROM requests")]
        made = [timed(lambda: keep_sketch(url, key, packed), time.process_time) for key in keys]  # noqa: B023
        connection.execute("VACUUM FULL sketches, telemetry")
        sketches, telemetry = connection.execute(SIZES).fetchone() or (0, 0)
    longest = KEEP_DAYS + 31
    rows = (
        (f"requests of {longest} days", kept, longest),
        ("sketches of a year", float(sketches) / len(keys), 365),
        ("telemetry of a year, a launch for each trial", float(telemetry), 365),
    )
    print(f"\na year of nights of {TRIALS_A_NIGHT} trials such as this")
    for name, each, days in rows:
        trials = TRIALS_A_NIGHT * days
        print(f"  {name:46} {each / 1e3:7.1f} kB x {trials:7,} = {each * trials / 1e9:5.1f} GB")
    minutes = median(made) * TRIALS_A_NIGHT / 60
    print(f"  sketching a trial {spread(made)} of CPU; a night's {minutes:.1f} min")


def keep_sketch(url: str, trial: str, packed: Requests) -> None:
    with writing(url) as session:
        keep_sketches(session, trial, sketches_of(Requests(packed.packed)))


def main(argv: Sequence[str] | None = None) -> int:
    """0: both limits are kept. 1: one is not."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--document", type=Path, metavar="FILE", help="a launch to draw gaps from")
    parser.add_argument("--times", type=int, default=40, metavar="N", help="pairs of COPYs")
    arguments = parser.parse_args(argv)
    drawn = profiles(arguments.document)
    night = Night(name=NIGHT, kind=NightKind.NIGHTLY, matrix="demo", matrix_digest="0",
                  contenders=("vllm==0.32.0",), cells=(CELL,), launches=1)  # fmt: skip
    with tempfile.TemporaryDirectory() as folder, running_postgres(Path(folder, "postgres")) as url:
        migrate(url)
        with writing(url) as session:
            record_night(session, night)
        with psycopg.connect(url) as connection:
            connection.execute(BARE_TABLE)
            connection.execute("SELECT months.make(%s)", [NIGHT])
        usual = drawn[USUAL]
        ratio = tell_times(url, usual, arguments.times)
        most = tell_disk(url, drawn)
        tell_year(url, Requests.of(usual))
    return int(most > MOST_BYTES or ratio > MOST_TIMES)


if __name__ == "__main__":
    sys.exit(main())
