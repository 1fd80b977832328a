"""Stored rows as the frames that charts draw. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime

import numpy as np
import pandas as pd

from dashboard.charts.series import Band
from dashboard.colours import NOT_JUDGED
from dashboard.units import interval, percent
from schema.judgements import Comparison, Side, Verdict
from schema.latencies import latencies as observed
from schema.metrics import METRICS, Direction
from schema.requests import Request
from schema.store.sketches import Bins
from schema.store.trials import TrialSummary
from schema.store.values import Value
from schema.trials import Arm, Telemetry, variant_named
from stats.sketch import restored

SPREADS = 3
"""Half the height of a baseline band, in robust standard deviations."""
SHOWN = ("ttft", "itl", "e2e")
"""Latencies whose distribution a trial shows."""
_MAD_TO_SD = 1.4826  # of a normal distribution; Rousseeuw & Croux 1993
_LEAST_FOR_A_BAND = 3
_REFERENCES = {Arm.CONFIRM_BASELINE, Arm.RELEASE_BASELINE}
_ARROWS = {Direction.LOWER: "↓", Direction.HIGHER: "↑"}


def metric_label(name: str) -> str:
    """`itl_p50 ↓`: the arrow points to where it is better."""
    return f"{name} {_ARROWS[METRICS[name].direction]}"


def changes(
    found: Iterable[tuple[Comparison, Verdict | None]], min_change: Mapping[str, float]
) -> pd.DataFrame:
    """One row a metric for `charts.compare.forest`, in the order in which people read metrics.

    Without a verdict a comparison is exploratory.
    """
    order = list(METRICS)
    in_order = sorted(found, key=lambda own: order.index(own[0].metric))
    return pd.DataFrame([_change(own, verdict, min_change) for own, verdict in in_order])


def _change(
    own: Comparison, verdict: Verdict | None, min_change: Mapping[str, float]
) -> dict[str, object]:
    low, high = own.interval or (np.nan, np.nan)
    text = "no value" if own.change is None else percent(own.change)
    if own.interval is not None:
        text += f"  ({interval(own.interval)})"
    return {
        "metric": own.metric,
        "label": metric_label(own.metric),
        "change": np.nan if own.change is None else own.change,
        "low": low,
        "high": high,
        "verdict": verdict or NOT_JUDGED,
        "text": text,
        "min_change": min_change.get(own.metric, np.nan),
    }


def points(values: Iterable[Value]) -> pd.DataFrame:
    """One row a trial for `charts.series.series`, in the order given."""
    rows = [
        {
            "night": own.night,
            "date": own.date.isoformat(),
            "build": own.build_name,
            "arm": str(own.arm),
            "replicate": own.replicate,
            "trial": own.trial,
            "value": own.value,
        }
        for own in values
    ]
    columns = ["night", "date", "build", "arm", "replicate", "trial", "value"]
    return pd.DataFrame(rows, columns=columns)


def tails(sides: Mapping[str, Sequence[Value]], names: Mapping[str, str]) -> pd.DataFrame:
    """One row a trial of a build that is no variant for `charts.moe.tails`, nights in order."""
    rows = [
        {
            "side": side,
            "name": names[side],
            "night": own.night,
            "date": own.date,
            "replicate": own.replicate,
            "trial": own.trial,
            "value": own.value,
        }
        for side, values in sides.items()
        for own in values
        if not variant_named(own.build_name)
    ]
    columns = ["side", "name", "night", "date", "replicate", "trial", "value"]
    frame = pd.DataFrame(rows, columns=columns)
    return frame.sort_values(["date", "night"], kind="stable")


def baseline_band(points: pd.DataFrame) -> Band | None:
    """Median and spread of the reference arms and of nightly trials before the newest night.

    None where fewer than three trials make a baseline.
    """
    newest = points["night"].max()
    earlier = (points["arm"] == Arm.NIGHTLY) & (points["night"] != newest)
    values = points[points["arm"].isin(_REFERENCES) | earlier]["value"]
    if len(values) < _LEAST_FOR_A_BAND:
        return None
    middle = float(values.median())
    spread = SPREADS * _MAD_TO_SD * float((values - middle).abs().median())
    return Band(middle=middle, low=middle - spread, high=middle + spread)


def sides(baseline: Side, contender: Side, labels: Mapping[str, str]) -> pd.DataFrame:
    """One row a trial for `charts.compare.strip`; `labels` describes trials by key."""
    rows = [
        {"side": name, "trial": trial, "label": labels.get(trial, trial), "value": value}
        for name, side in (("baseline", baseline), ("contender", contender))
        for trial, value in zip(side.trials, side.values, strict=True)
    ]
    return pd.DataFrame(rows, columns=["side", "trial", "label", "value"])


def requests(rows: Sequence[Request]) -> pd.DataFrame:
    """When each request was scheduled, sent, first and last answered, s; NaN when it never was."""
    return pd.DataFrame(
        [
            {
                "index": row.index,
                "scheduled_s": row.scheduled_s,
                "sent_s": row.sent_s,
                "first_s": row.event_s[0] if row.event_s else np.nan,
                "last_s": row.event_s[-1] if row.event_s else np.nan,
                "error": row.error,
            }
            for row in rows
        ],
        columns=["index", "scheduled_s", "sent_s", "first_s", "last_s", "error"],
    )


def gaps(rows: Sequence[Request]) -> pd.DataFrame:
    """Time between successive tokens of each request that did not fail, s.

    An event of k tokens gives k gaps of 1/k of its time, as the metric itl is defined.
    """
    parts = [_gaps(row) for row in rows if row.error is None and len(row.event_s) > 1]
    return pd.concat(parts) if parts else pd.DataFrame(columns=["at_s", "gap_s", "request"])


def _gaps(row: Request) -> pd.DataFrame:
    tokens = np.diff(row.event_tokens)
    each = np.diff(row.event_s) / np.maximum(tokens, 1)
    return pd.DataFrame(
        {
            "at_s": np.repeat(row.event_s[1:], tokens),
            "gap_s": np.repeat(each, tokens),
            "request": row.index,
        }
    )


def latencies(rows: Sequence[Request]) -> dict[str, pd.Series]:
    """TTFT from sending, ITL between tokens, E2E from the scheduled moment; answered only, s."""
    seen = asdict(observed(rows))
    return {name.upper(): pd.Series(seen[name], dtype="float64") for name in SHOWN}


def sketched(sketches: Mapping[str, Bins]) -> dict[str, pd.Series]:
    """The same from sketches: one value an observation, within 1 % of it."""
    return {name.upper(): pd.Series(restored(sketches.get(name, {}))) for name in SHOWN}


_READ = (
    *("memory_bytes", "utilisation", "power_w", "sm_clock_hz", "memory_clock_hz"),
    "temperature_c",
)


def telemetry(rows: Iterable[Telemetry], devices: Mapping[str, str]) -> pd.DataFrame:
    """Readings in time order; `devices` names cards by UUID. What was not available is NaN."""
    frame = pd.DataFrame(
        [
            {"at_s": row.at_s, "device": devices.get(row.device, row.device)}
            | {name: getattr(row, name) for name in _READ}
            for row in rows
        ],
        columns=["at_s", "device", *_READ],
    )
    return frame.astype(dict.fromkeys(_READ, "float64")).sort_values("at_s", kind="stable")


def window(launched_at: datetime, trial: TrialSummary) -> tuple[float, float] | None:
    """When a trial measured, in seconds since its launch; None when it never did."""
    if trial.started_at is None or trial.duration_s is None:
        return None
    began = (trial.started_at - launched_at).total_seconds()
    return began, began + trial.duration_s
