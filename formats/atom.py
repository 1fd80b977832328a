"""The nightly history of ROCm/ATOM as a table: one value a row, the rows of a trial together."""

from collections import defaultdict
from collections.abc import Iterator

from formats.content import Content, Record
from formats.draft import Draft, content_key
from formats.errors import Unreadable
from formats.fields import Fields
from formats.quantities import Quantity, rate
from formats.storable import storable
from schema.imports import ImportedTrial, Subject, Tool
from schema.metrics import Direction
from schema.trials import TrialState

COLUMNS = (
    *("ts", "commit", "commit_ts", "run", "backend", "model", "isl", "osl", "conc", "metric"),
    *("value", "unit", "gpu", "rocm", "docker"),
)
WHERE = ("ts", "commit", "backend", "model", "isl", "osl", "conc")
QUANTITIES = {
    "throughput (tok/s)": rate("answer tokens per second"),
    "Total Tput (tok/s)": rate("prompt and answer tokens per second"),
    "TPOT (ms)": Quantity(words="mean of a request's (latency - ttft) / (answer tokens - 1)"),
    "TTFT (ms)": Quantity(words="mean time to the first token"),
    "accuracy": Quantity(
        words="share of right answers", unit="1", factor=1, direction=Direction.HIGHER
    ),
}
FACTS = {"_gpu_count", "_tp"}
TWICE = "published twice at one moment with other values: which is meant cannot be told"


def recognises(content: Content) -> bool:
    return content.header == COLUMNS


def read(content: Content) -> list[ImportedTrial]:
    """One trial for what was published together; raises Unreadable."""
    together: dict[tuple[str, ...], list[Fields]] = defaultdict(list)
    for line, row in content.rows[1:]:
        if len(row) != len(COLUMNS):
            raise Unreadable(f"has {len(row)} fields, not {len(COLUMNS)}", line)
        values = dict(zip(COLUMNS, row, strict=True))
        fields = Fields(values, Record(value=values, line=line))
        together[tuple(values[key] for key in WHERE)].append(fields)
    return [trial for rows in together.values() for trial in _trials(rows)]


def _trials(rows: list[Fields]) -> Iterator[ImportedTrial]:
    """Usually one; where a metric stands there again another begins, and none can be believed."""
    parts: list[dict[str, Fields]] = [{}]
    for row in rows:
        metric = row.values["metric"]
        free = next((part for part in parts if metric not in part), None)
        if free is None:
            parts.append(free := {})
        free[metric] = row
    measured = [part for part in parts if part.keys() - FACTS]
    facts = {metric: row for part in parts for metric, row in part.items() if metric in FACTS}
    for part in measured:
        yield _trial(facts | part, twice=len(measured) > 1)


def _trial(part: dict[str, Fields], *, twice: bool) -> ImportedTrial:
    draft = Draft(tool=Tool.ATOM)
    own = {metric: row for metric, row in part.items() if metric not in FACTS}
    for metric, row in own.items():
        draft.take(metric, row.number("value"), _quantity(metric, row))
    zeros = [metric for metric, row in own.items() if row.number("value") == 0]
    if zeros:
        draft.doubts.append(f"0 was published for {', '.join(zeros)}")
    if twice:
        draft.doubts.append(TWICE)
    state, reason, values = draft.outcome(None, 0)
    first = min(own.values(), key=lambda row: row.record.line)
    told = {key: _told(own, key) for key in ("run", "gpu", "docker", "rocm")}
    return ImportedTrial(
        tool=Tool.ATOM,
        generation="csv",
        subject=_subject(first, part, told["gpu"]),
        build=first.text("commit"),
        image=told["docker"],
        measured_at=first.moment("ts"),
        committed_at=first.moment("commit_ts"),
        state=state,
        reason=reason,
        values=values if state is not TrialState.FAILED else {},
        line=first.record.line,
        content=_content(first, own, told["run"]),
    )


def _quantity(metric: str, row: Fields) -> Quantity:
    if metric in QUANTITIES:
        return QUANTITIES[metric]
    unit = row.text("unit") or "1"
    words = f"`{storable(row.values['model'])}`, which the publisher does not explain"
    if unit == "%":
        return Quantity(words=words, unit="1", factor=0.01, direction=None)
    return Quantity(words=words, unit=unit, factor=1, direction=None)


def _subject(row: Fields, part: dict[str, Fields], gpu: str | None) -> Subject:
    """The GPU as told: whether a renamed one is the same card, the file does not say.

    Lengths of 0 were not told.
    """
    return Subject(
        model=row.text("model"),
        engine=row.text("backend"),
        gpu=gpu,
        gpus=part["_gpu_count"].count("value") if "_gpu_count" in part else None,
        tensor_parallel=part["_tp"].count("value") if "_tp" in part else None,
        concurrency=row.count("conc"),
        input_tokens=row.number("isl") or None,
        output_tokens=row.number("osl") or None,
    )


def _told(rows: dict[str, Fields], key: str) -> str | None:
    return next((text for row in rows.values() if (text := row.text(key))), None)


def _content(first: Fields, own: dict[str, Fields], run: str | None) -> str:
    """A run that is published again at a later moment is the same trial."""
    identity = [first.values[key] for key in WHERE if key != "ts" or run is None]
    values = sorted((metric, row.values["value"]) for metric, row in own.items())
    return content_key([run, identity, values], 10**6)
