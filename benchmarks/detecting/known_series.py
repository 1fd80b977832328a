"""Series whose truth is known: drawn ones, and public files where they are there.

Drawn with seeds of this benchmark's own; the policy was derived with others (decision 18).
"""

import gzip
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Matrix = NDArray[np.float64]

HISTORY, WATCHED = 40, 30
BURN_IN = 50
LATENCIES = ("TTFT (ms)", "TPOT (ms)")
RATES = ("throughput (tok/s)",)


def healthy(rows: int, nights: int, *, cv: float, seed: int, drift: float = 0.0) -> Matrix:
    """series x nights of throughput around 100 that nothing happens to."""
    noise = np.random.default_rng(seed).standard_normal((rows, nights + BURN_IN))
    for night in range(1, nights + BURN_IN):
        fresh = (1 - drift**2) ** 0.5 * noise[:, night]
        noise[:, night] = drift * noise[:, night - 1] + fresh
    return np.asarray(100 * np.exp(cv * noise[:, BURN_IN:]))


def trials(rows: int, nights: int, count: int, *, cv: float, seed: int) -> Matrix:
    """series x nights x trials, independent."""
    noise = np.random.default_rng(seed).standard_normal((rows, nights, count))
    return np.asarray(100 * np.exp(cv * noise))


def shared_file(name: str) -> Path | None:
    default = Path(__file__).parents[2].parent / "shared" / "data"
    path = Path(os.environ.get("TAILWATCH_SHARED_DATA", default)) / name
    return path if path.exists() else None


@dataclass(frozen=True, kw_only=True)
class Labelled:
    name: str
    values: Matrix
    """NaN for missing."""
    changes: dict[str, list[int]]
    """By annotator."""


def perfherder() -> list[Labelled] | None:
    found = _json("perfherder_4series.json.gz")
    return found and [
        Labelled(
            name=one["series"],
            values=np.array(one["values"], dtype=np.float64),
            changes={"": one["change_index"]},
        )
        for one in found
    ]


def tcpd() -> list[Labelled] | None:
    found = _json("tcpd_16series.json.gz")
    return found and [
        Labelled(
            name=one["name"],
            values=np.array(one["values"], dtype=np.float64),
            changes=one["annotations"],
        )
        for one in found
    ]


def _json(name: str) -> Any:
    path = shared_file(name)
    return path and json.loads(gzip.decompress(path.read_bytes()))


def atom_noise(least_nights: int = 24) -> list[tuple[str, Matrix]] | None:
    """(metric, nightly medians) of every long series of the ATOM history, failed runs left out."""
    path = shared_file("rocm_atom_nightly_until_2026-04.csv.gz")
    if path is None:
        return None
    rows = pd.read_csv(path)
    rows = rows[rows["metric"].isin(LATENCIES + RATES) & (rows["value"] > 0)].drop_duplicates()
    rows["day"] = rows["ts"].str[:10]
    keys = ["backend", "model", "isl", "osl", "conc", "metric"]
    nights = rows.groupby([*keys, "day"])["value"].median()
    return [
        (str(key[-1]), own.to_numpy())
        for key, own in nights.groupby(level=keys)
        if len(own) >= least_nights
    ]


def go_repetitions() -> Matrix | None:
    """benchmarks x nights x repetitions of the toolchain that never changes, NaN for none."""
    path = shared_file("go_nightly_reps_even.csv.gz")
    if path is None:
        return None
    rows = pd.read_csv(path)
    rows = rows[rows["toolchain"] == "Go1.17"]
    benchmark, night = (pd.factorize(rows[name], sort=True)[0] for name in ("benchmark", "night"))
    slot = rows.groupby(["benchmark", "night"]).cumcount().to_numpy()
    table = np.full((benchmark.max() + 1, night.max() + 1, slot.max() + 1), np.nan)
    table[benchmark, night, slot] = rows["ns_per_op"].to_numpy()
    return table


def eshopper() -> list[tuple[Matrix, Matrix]] | None:
    """(normal, slowed on purpose) latencies of each scenario, ms."""
    path = shared_file("delag_eshopper.csv.gz")
    if path is None:
        return None
    rows = pd.read_csv(path, dtype={"scenario": str})
    return [
        (
            own.loc[own["anomaly"] == 0, "latency_ms"].to_numpy(dtype=np.float64),
            own.loc[own["anomaly"] != 0, "latency_ms"].to_numpy(dtype=np.float64),
        )
        for _, own in rows.groupby(["system", "scenario"])
    ]
