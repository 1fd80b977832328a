"""AIPerf's profile_export.jsonl: one request a line, one trial a file."""

from collections import Counter
from datetime import UTC, datetime
from typing import Any

from formats.content import Content
from formats.draft import Draft, content_key, span
from formats.errors import Unreadable
from formats.fields import Fields, finite
from schema.imports import ImportedRequest, ImportedTrial, Subject, Tool

GENERATIONS = {"benchmark_phase": "1 records", "credit_phase": "2025 records"}


def recognises(content: Content) -> bool:
    metadata = content.first.get("metadata")
    return isinstance(metadata, dict) and any(key in metadata for key in GENERATIONS)


def read(content: Content) -> list[ImportedTrial]:
    """One trial of all the requests that were measured; raises Unreadable."""
    rows = [row for row in (Fields(r.value, r) for r in content.records) if _measured(row)]
    if not rows:
        raise Unreadable("has no request of the profiling phase: only the warm-up was kept")
    metadata = rows[0].inner("metadata")
    generation = next((own for key, own in GENERATIONS.items() if key in metadata), "records")
    starts = [start for start in map(_start, rows) if start is not None]
    first = min(starts, default=0.0)
    requests = tuple(_request(row, index, first) for index, row in enumerate(rows))
    draft = Draft(tool=Tool.AIPERF)
    draft.recompute(requests, generation)
    errors = Counter(request.error for request in requests if request.error is not None)
    failed = errors.total()
    why = next(iter(errors), "")
    state, reason, values = draft.outcome(len(requests) - failed, failed, why or "")
    return [
        ImportedTrial(
            tool=Tool.AIPERF,
            generation=generation,
            subject=Subject(requests=len(requests)),
            measured_at=_moment(first) if starts else None,
            state=state,
            reason=reason,
            values=values,
            requests=requests,
            line=content.records[0].line,
            content=content_key([row.values for row in rows], _written(content)),
        )
    ]


def _written(content: Content) -> int:
    return sum(len(record.text) for record in content.records)


def _measured(row: Fields) -> bool:
    metadata = row.inner("metadata")
    if not any(key in metadata for key in GENERATIONS):
        raise Unreadable("is no AIPerf record: `metadata` has no phase", row.record.line)
    return all(metadata.text(key) in {None, "profiling"} for key in GENERATIONS)


def _start(row: Fields) -> float | None:
    """Seconds since 1970."""
    metadata = row.inner("metadata")
    key = "request_start_ns" if "request_start_ns" in metadata else "timestamp_ns"
    nanoseconds = metadata.number(key)
    return None if nanoseconds is None else nanoseconds / 1e9


def _moment(seconds: float) -> datetime | None:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _request(row: Fields, index: int, first: float) -> ImportedRequest:
    metrics, start = row.inner("metrics"), _start(row)
    error = _error(row)
    chunks = [] if error else _milliseconds(metrics.inner("inter_chunk_latency"), "value")
    return ImportedRequest(
        index=index,
        error=error,
        start_s=None if start is None else span(start - first),
        ttft_s=None if error else _time(metrics, "time_to_first_token") or _time(metrics, "ttft"),
        e2e_s=None if error else _time(metrics, "request_latency"),
        gap_s=tuple(chunks),
        input_tokens=metrics.inner("input_sequence_length").count("value"),
        output_tokens=metrics.inner("output_sequence_length").count("value"),
    )


def _error(row: Fields) -> str | None:
    if "error" in row:
        error = row.inner("error")
        told = (error.text("type"), error.text("message"))
        return ": ".join(part for part in told if part) or "failed"
    return "cancelled" if row.inner("metadata").values.get("was_cancelled") is True else None


def _time(metrics: Fields, tag: str) -> float | None:
    value = metrics.inner(tag).number("value")
    return value / 1e3 if value and value > 0 else None


def _milliseconds(fields: Fields, key: str) -> list[float]:
    try:
        numbers: list[Any] = [finite(value) for value in fields.list(key)]
    except ValueError:
        raise fields.wrong(key, "should hold numbers only") from None
    return [number / 1e3 for number in numbers if number is not None and number >= 0]
