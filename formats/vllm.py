"""`vllm bench serve`, its forks and `vllm bench latency`: JSON objects, often appended."""

from formats.arrays import requests_of
from formats.content import Content, Record
from formats.draft import Draft, by_two_digits, content_key, first_error
from formats.fields import Fields
from formats.quantities import Quantity, rate, statistics
from formats.storable import storable
from schema.imports import ImportedTrial, Subject, Tool

LATENCIES = {
    "ttft": Quantity(words="the time from before connecting until the first event was parsed"),
    "tpot": Quantity(words="a request's (latency - ttft) / (answer tokens - 1)", metric="tpot"),
    "itl": Quantity(words="the gaps between events, pooled; an event counts as one token"),
    "e2el": Quantity(words="the time from before connecting to the last token's event"),
    "client_queue_time": Quantity(words="the wait for a free place of max_concurrency", zero=True),
    "e2el_including_client_queue": Quantity(
        words="the time from the scheduled moment to the last token's event", metric="e2e"
    ),
}
RATES = {
    "request_throughput": rate("completed requests per second", "req/s", "request_throughput"),
    "output_throughput": rate("answer tokens per second", metric="output_throughput"),
    "total_token_throughput": rate(
        "prompt and answer tokens per second", metric="total_throughput"
    ),
    "request_goodput": rate("requests per second that kept the limits given", "req/s"),
}
BATCH = Quantity(words="the time of one offline batch", factor=1)
_KNOWN = {
    *("date", "endpoint_type", "backend", "label", "model_id", "tokenizer_id", "num_prompts"),
    *("request_rate", "burstiness", "max_concurrency", "best_of", "ramp_up_strategy"),
    *("ramp_up_start_rps", "ramp_up_end_rps"),
}
_FACTS = {"engine", "gpu", "precision", "tp", "tensor_parallel_size", "version", "commit"}


def recognises(content: Content) -> bool:
    return is_serving(content) or is_latency(content)


def is_serving(content: Content) -> bool:
    keys = content.first.keys()
    return {"model_id", "num_prompts", "request_rate"} <= keys and any(
        key.endswith(("_ttft_ms", "_e2el_ms", "_tpot_ms")) for key in keys
    )


def is_latency(content: Content) -> bool:
    return {"avg_latency", "latencies", "percentiles"} <= content.first.keys()


def read(content: Content) -> list[ImportedTrial]:
    """One trial an object; raises Unreadable."""
    if is_latency(content):
        return [_latency(record) for record in content.records]
    return [_serving(record) for record in content.records]


def _serving(record: Record) -> ImportedTrial:
    fields = Fields(record.value, record)
    draft = Draft(tool=Tool.VLLM, line=record.line)
    for key, quantity in RATES.items():
        draft.take(key, fields.number(key), quantity)
    for key, statistic, quantity in statistics(fields.values, LATENCIES, "_ms"):
        draft.take(key, fields.number(key), quantity, statistic)
    completed, prompts = fields.count("completed"), fields.count("num_prompts")
    lost = max(0, (prompts or 0) - completed) if completed is not None else 0
    requests = requests_of(fields)
    draft.recompute(requests)
    why = first_error(fields.list("errors"))
    state, reason, values = draft.outcome(completed, fields.count("failed") or lost, why)
    return ImportedTrial(
        tool=Tool.VLLM,
        generation=_generation(fields),
        subject=_subject(fields, completed),
        build=fields.text("version") or fields.text("commit"),
        image=fields.text("image"),
        measured_at=fields.moment("date"),
        state=state,
        reason=reason,
        values=values,
        requests=requests,
        line=record.line,
        content=content_key(record.value, len(record.text)),
    )


def _generation(fields: Fields) -> str:
    """By the keys that came with a release; the meaning of the values did not change."""
    if "server_ttfts" in fields.values:
        return "0.33"
    if "queue_times" in fields.values:
        return "0.30"
    return "0.10" if "endpoint_type" in fields.values else "benchmark_serving.py"


def _subject(fields: Fields, completed: int | None) -> Subject:
    told = {key: fields.values[key] for key in fields.values if isinstance(fields.values[key], str)}
    notes = [key for key in told if key not in _KNOWN | _FACTS | {"image"}]
    notes += [key for key in ("backend", "endpoint_type", "label") if told.get(key)]
    if fields.number("burstiness") not in {None, 1.0}:
        notes.append("burstiness")
    return Subject(
        model=fields.text("model_id"),
        engine=fields.text("engine"),
        gpu=fields.text("gpu"),
        precision=fields.text("precision"),
        tensor_parallel=fields.count("tp" if "tp" in fields else "tensor_parallel_size"),
        request_rate=fields.number("request_rate"),
        concurrency=fields.count("max_concurrency"),
        requests=fields.count("num_prompts"),
        input_tokens=by_two_digits(fields.number("total_input_tokens"), completed),
        output_tokens=by_two_digits(fields.number("total_output_tokens"), completed),
        further=tuple(sorted((storable(key), fields.text(key) or "") for key in notes)),
    )


def _latency(record: Record) -> ImportedTrial:
    fields = Fields(record.value, record)
    draft = Draft(tool=Tool.VLLM_LATENCY, line=record.line)
    draft.take("avg_latency", fields.number("avg_latency"), BATCH, "mean")
    inner = fields.inner("percentiles")
    for percentile in inner.values:
        if percentile.isascii() and percentile.isdigit() and len(percentile) <= 2:
            name = f"percentiles.{percentile}"
            draft.take(name, inner.number(percentile), BATCH, f"p{int(percentile)}")
    state, reason, values = draft.outcome(None, 0)
    return ImportedTrial(
        tool=Tool.VLLM_LATENCY,
        generation="benchmark_latency.py",
        subject=Subject(requests=len(fields.list("latencies"))),
        state=state,
        reason=reason,
        values=values,
        line=record.line,
        content=content_key(record.value, len(record.text)),
    )
