"""AIPerf's summaries: profile_export_aiperf.json and .csv. Whatever has a unit is a value."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from formats.content import Content, Record
from formats.draft import Draft, content_key
from formats.errors import Unreadable
from formats.fields import Fields
from formats.quantities import Quantity
from formats.storable import storable
from schema.imports import ImportedTrial, Subject, Tool
from schema.metrics import Direction

V1 = "1"
V2025 = "2025"
STATISTICS = (
    "avg",
    "std",
    "min",
    "max",
    "p1",
    "p5",
    "p10",
    "p25",
    "p50",
    "p75",
    "p90",
    "p95",
    "p99",
)
UNITS = {
    "ms": ("s", 1e-3),
    "sec": ("s", 1.0),
    "s": ("s", 1.0),
    "ns": ("s", 1e-9),
    "us": ("s", 1e-6),
    "tokens": ("tok", 1.0),
    "tokens/sec": ("tok/s", 1.0),
    "requests/sec": ("req/s", 1.0),
    "KB": ("B", 1024.0),
    "%": ("1", 0.01),
    "ratio": ("1", 1.0),
    "count": ("1", 1.0),
    "requests": ("req", 1.0),
}
WORDS = {
    "inter_token_latency": "a request's mean gap, (latency - ttft) / (answer tokens - 1)",
    "inter_chunk_latency": "the gaps between chunks with content, pooled",
    "time_to_first_token": "the time from the request to its first chunk with content",
    "request_latency": "the time from the request to its last chunk with content",
    "output_token_throughput": "answer tokens per second",
    "request_throughput": "answered requests per second",
}
WORDS_OF_1 = WORDS | {
    "inter_token_latency": "a request's mean gap, (latency - ttft) / (answer tokens - those of the "
    "first chunk)",
}
SAME = {"ttft": "time_to_first_token", "ttst": "time_to_second_token"}
"""Names of 2025 and what they were called later."""
ALWAYS = {*WORDS, "time_to_second_token", "output_token_throughput_per_user"}
"""Where 0 says that nothing was measured."""
COUNTS = {"request_count", "error_request_count", "min_request_timestamp", "max_response_timestamp"}
"""Facts about the trial, and no values of it."""
_HEADER = re.compile(r"(?P<name>[^()]+?)\s*\((?P<unit>[^()]*)\)")
Values = Iterable[tuple[str, str, dict[str, Any]]]


def recognises(content: Content) -> bool:
    first = content.first
    return (
        is_table(content)
        or "aiperf_version" in first
        or {"records", "input_config"} <= first.keys()
    )


def is_table(content: Content) -> bool:
    return content.header[:2] == ("Metric", "avg")


def read(content: Content) -> list[ImportedTrial]:
    """One trial; raises Unreadable."""
    if is_table(content):
        return [_of_table(content)]
    return [_of_object(record) for record in content.records]


def quantity(name: str, unit: str, generation: str) -> Quantity:
    """What a tag means; a unit that is none of ours stays as it is."""
    base, factor = UNITS.get(unit, (unit.replace("tokens", "tok").replace("/sec", "/s"), 1.0))
    called = SAME.get(name, name)
    words = (WORDS_OF_1 if generation == V1 else WORDS).get(called, called.replace("_", " "))
    return Quantity(
        words=words,
        unit=base,
        factor=factor,
        direction=_direction(called, base),
        generation=generation,
        zero=called not in ALWAYS,
    )


def _direction(name: str, unit: str) -> Direction | None:
    if "throughput" in name or name == "goodput":
        return Direction.HIGHER
    return Direction.LOWER if unit == "s" and name != "benchmark_duration" else None


def _take(draft: Draft, values: Values, generation: str) -> None:
    for name, unit, own in values:
        if name not in COUNTS:
            known = quantity(name, unit, generation)
            for statistic in [key for key in STATISTICS if key in own]:
                draft.take(f"{name}.{statistic}", own[statistic], known, statistic)


def _of_object(record: Record) -> ImportedTrial:
    fields = Fields(record.value, record)
    generation = V1 if "aiperf_version" in fields else V2025
    tags = fields if generation == V1 else fields.inner("records")
    draft = Draft(tool=Tool.AIPERF, line=record.line)
    _take(draft, _tagged(tags), generation)
    if fields.values.get("was_cancelled") is True:
        draft.doubts.append("the run was cancelled")
    elif fields.values.get("is_complete") is False:
        draft.doubts.append(f"the run is not complete: {fields.text('incomplete_reason')}")
    completed, failed = _number(tags, "request_count"), _number(tags, "error_request_count")
    state, reason, values = draft.outcome(_completed(completed, failed), failed or 0, _why(fields))
    return ImportedTrial(
        tool=Tool.AIPERF,
        generation=generation,
        tool_version=fields.text("aiperf_version"),
        subject=_subject(fields),
        measured_at=fields.moment("start_time"),
        state=state,
        reason=reason,
        values=values,
        line=record.line,
        content=content_key(record.value, len(record.text)),
    )


def _completed(completed: int | None, failed: int | None) -> int | None:
    """Without a count of answers and with failures there was no answer: tags of 0 are left out."""
    return 0 if completed is None and failed else completed


def _tagged(tags: Fields) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for name in tags.values:
        own = tags.values[name]
        if isinstance(own, dict) and isinstance(own.get("unit"), str):
            inner = tags.inner(name)
            yield name, own["unit"], {key: inner.number(key) for key in STATISTICS if key in own}


def _number(tags: Fields, name: str) -> int | None:
    return tags.inner(name).count("avg") if name in tags else None


def _why(fields: Fields) -> str:
    for error in fields.items("error_summary"):
        details = error.inner("error_details")
        return f"{details.text('type') or ''} {details.text('message') or ''}".strip()
    return ""


def _subject(fields: Fields) -> Subject:
    settings = fields.inner("input_config")
    old = "loadgen" in settings
    load = settings.inner("loadgen") if old else _first(settings, "phases")
    models = settings.inner("endpoint").list("model_names")
    model = (
        storable(str(models[0]))
        if old and models
        else _first(settings.inner("models"), "items").text("name")
    )
    prompts = (
        settings.inner("input").inner("prompt"),
        _first(settings, "datasets").inner("prompts"),
    )
    asked, synthetic = prompts
    kinds = {"endpoint": settings.inner("endpoint").text("type"), "load": load.text("type")}
    return Subject(
        model=model,
        request_rate=load.number("rate" if "rate" in load else "request_rate"),
        concurrency=load.count("concurrency"),
        requests=load.count("request_count" if old else "requests"),
        input_tokens=asked.inner("input_tokens").number("mean")
        or synthetic.inner("isl").number("mean"),
        output_tokens=asked.inner("output_tokens").number("mean")
        or synthetic.inner("osl").number("mean"),
        further=tuple(sorted((key, text) for key, text in kinds.items() if text)),
    )


def _first(fields: Fields, key: str) -> Fields:
    return next(fields.items(key), Fields({}, fields.record, key))


def _of_table(content: Content) -> ImportedTrial:
    """Two tables below each other: distributions, then single values. Two decimals are kept."""
    draft, header, facts = Draft(tool=Tool.AIPERF), content.header, {}
    for line, row in content.rows:
        if row[0] == "Metric":
            header = tuple(row)
            continue
        if len(row) != len(header):
            raise Unreadable(f"has {len(row)} fields, the header has {len(header)}", line)
        name, unit = _named(row, line)
        columns = dict(zip(header[1:], row[1:], strict=True))
        own = Fields(columns, Record(value=columns, line=line))
        numbers = {"avg" if key == "Value" else key: own.number(key) for key in columns}
        facts[name] = numbers.get("avg")
        _take(draft, [(name, unit, numbers)], f"{V2025} csv")
    failed = int(facts.get("error_request_count") or 0)
    completed = facts.get("request_count")
    whole = int(completed) if completed is not None else None
    state, reason, values = draft.outcome(_completed(whole, failed), failed)
    return ImportedTrial(
        tool=Tool.AIPERF,
        generation=f"{V2025} csv",
        subject=Subject(requests=(whole or 0) + failed or None),
        state=state,
        reason=reason,
        values=values,
        line=content.rows[0][0],
        content=content_key([row for _, row in content.rows], 10**9),
    )


def _named(row: list[str], line: int) -> tuple[str, str]:
    found = _HEADER.fullmatch(row[0])
    if not found:
        name = row[0].strip().lower().replace(" ", "_")
        if not name:
            raise Unreadable("is no line `Metric (unit),value`", line)
        return name, "count"
    return found["name"].lower().replace(" ", "_"), found["unit"]
