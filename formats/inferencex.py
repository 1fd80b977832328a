"""InferenceX: aggregates (one JSON object) and its table of requests with token times."""

import json
from datetime import UTC, datetime

from formats.content import Content, Record
from formats.draft import Draft, by_two_digits, content_key, first_error, gaps, span
from formats.errors import Unreadable
from formats.fields import Fields, finite
from formats.quantities import Quantity, rate, statistics
from schema.imports import ImportedRequest, ImportedTrial, Subject, Tool
from schema.metrics import Direction

LATENCIES = {
    "ttft": Quantity(words="the time from the request to its first event", factor=1),
    "tpot": Quantity(words="a request's (latency - ttft) / (answer tokens - 1)", factor=1),
    "itl": Quantity(words="the gaps between events, pooled", factor=1),
    "e2el": Quantity(words="the time from the request to its last event", factor=1),
    "intvty": Quantity(
        words="1 / tpot: answer tokens per second that one user sees",
        unit="tok/s/user",
        factor=1,
        direction=Direction.HIGHER,
    ),
}
RATES = {
    "tput_per_gpu": rate("prompt and answer tokens per second and GPU", "tok/s/GPU"),
    "output_tput_per_gpu": rate("answer tokens per second and GPU", "tok/s/GPU"),
    "input_tput_per_gpu": rate("prompt tokens per second and GPU", "tok/s/GPU"),
    "request_throughput": rate("completed requests per second", "req/s"),
    "input_throughput": rate("prompt tokens per second"),
    "output_throughput": rate("answer tokens per second"),
    "request_goodput": rate("requests per second that kept the limits given", "req/s"),
}
AGGREGATE, SERVING, REQUESTS = "aggregate", "serving", "requests"
COLUMNS = {"ttft", "ttlt", "success", "request_start_time", "token_timestamps"}
_NOTES = ("framework", "spec_decoding", "disagg", "is_multinode", "dp_attention", "ep", "hw")


def recognises(content: Content) -> bool:
    keys = content.first.keys()
    aggregate = {"hw", "tput_per_gpu"} <= keys
    serving = {"model_id", "median_ttft", "request_rate"} <= keys
    return aggregate or serving or set(content.header) >= COLUMNS


def read(content: Content) -> list[ImportedTrial]:
    """One trial an object, one for a table; raises Unreadable."""
    return [_of_requests(content)] if content.rows else [_of_object(r) for r in content.records]


def _of_object(record: Record) -> ImportedTrial:
    fields = Fields(record.value, record)
    draft = Draft(tool=Tool.INFERENCEX, line=record.line)
    for key, quantity in RATES.items():
        draft.take(key, fields.number(key), quantity)
    for key, statistic, quantity in statistics(fields.values, LATENCIES):
        draft.take(key, fields.number(key), quantity, statistic)
    completed, prompts = fields.count("completed"), fields.count("num_prompts")
    lost = max(0, (prompts or 0) - completed) if completed is not None else 0
    state, reason, values = draft.outcome(completed, lost)
    return ImportedTrial(
        tool=Tool.INFERENCEX,
        generation=AGGREGATE if "hw" in fields else SERVING,
        subject=_subject(fields, completed),
        image=fields.text("image"),
        measured_at=fields.moment("date"),
        state=state,
        reason=reason,
        values=values,
        line=record.line,
        content=content_key(record.value, len(record.text)),
    )


def _subject(fields: Fields, completed: int | None) -> Subject:
    mean_in = by_two_digits(fields.number("total_input_tokens"), completed)
    mean_out = by_two_digits(fields.number("total_output_tokens"), completed)
    notes = [(key, fields.text(key) or "") for key in _NOTES if key in fields]
    return Subject(
        model=fields.text("model") or fields.text("model_id"),
        engine=fields.text("framework"),
        gpu=fields.text("hw"),
        precision=fields.text("precision"),
        tensor_parallel=fields.count("tp"),
        request_rate=fields.number("request_rate"),
        concurrency=fields.count("conc") if "conc" in fields else fields.count("max_concurrency"),
        requests=fields.count("num_prompts"),
        input_tokens=fields.number("isl") or mean_in,
        output_tokens=fields.number("osl") or mean_out,
        further=tuple(sorted(note for note in notes if note[0] not in {"framework", "hw"})),
    )


def _of_requests(content: Content) -> ImportedTrial:
    header = content.header
    rows = []
    for line, row in content.rows[1:]:
        if len(row) != len(header):
            raise Unreadable(f"has {len(row)} fields, the header has {len(header)}", line)
        rows.append(Fields(dict(zip(header, row, strict=True)), Record(value=row, line=line)))
    starts = [start for row in rows if (start := row.number("request_start_time"))]
    first = min(starts, default=0.0)
    requests = tuple(_request(row, index, first) for index, row in enumerate(rows))
    draft = Draft(tool=Tool.INFERENCEX)
    draft.recompute(requests, REQUESTS)
    errors = [request.error for request in requests if request.error is not None]
    completed = len(requests) - len(errors)
    state, reason, values = draft.outcome(completed, len(errors), first_error(errors))
    return ImportedTrial(
        tool=Tool.INFERENCEX,
        generation=REQUESTS,
        subject=Subject(requests=len(requests)),
        measured_at=_moment(first),
        state=state,
        reason=reason,
        values=values,
        requests=requests,
        line=content.rows[0][0],
        content=content_key([row for _, row in content.rows], 10**9),
    )


def _moment(seconds: float) -> datetime | None:
    try:
        return datetime.fromtimestamp(seconds, UTC) if seconds > 0 else None
    except (ValueError, OverflowError, OSError):
        return None


def _request(row: Fields, index: int, first: float) -> ImportedRequest:
    start, succeeded = row.number("request_start_time"), row.text("success") == "True"
    ttft, latency = row.number("ttft"), row.number("ttlt")
    return ImportedRequest(
        index=index,
        error=None if succeeded else row.text("error_message") or "failed",
        start_s=span(start - first) if start else None,
        ttft_s=span(ttft) if succeeded and ttft else None,
        e2e_s=span(latency) if succeeded and latency else None,
        gap_s=gaps(_moments(row)) if succeeded else (),
        input_tokens=row.count("input_tokens"),
        output_tokens=row.count("output_tokens_actual"),
    )


def _moments(row: Fields) -> list[float]:
    """When each event arrived, in seconds since 1970."""
    written = row.text_in_full("token_timestamps")
    try:
        values = json.loads(written) if written else []
        numbers = [finite(value) for value in values]
    except (ValueError, RecursionError, TypeError):
        raise row.wrong("token_timestamps", "is no list of times") from None
    return [number for number in numbers if number is not None]
