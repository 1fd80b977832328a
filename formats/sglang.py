"""`sglang.benchmark.serving`, once `sglang.bench_serving`: one JSON object a line."""

from formats.arrays import requests_of
from formats.content import Content, Record
from formats.draft import Draft, by_two_digits, content_key, first_error
from formats.fields import Fields
from formats.quantities import Quantity, rate, statistics
from schema.imports import ImportedTrial, Subject, Tool

NATIVE = "0.5 sglang"
CHUNKS = "0.5 openai"
OLD = "2024"
LATENCIES = {
    "ttft": Quantity(words="the time from before connecting to the first line with text"),
    "tpot": Quantity(words="a request's (latency - ttft) / (asked answer tokens - 1)"),
    "e2e_latency": Quantity(words="the time from before connecting to the last line"),
}
ITL = {
    NATIVE: Quantity(
        words="the gaps between chunks, divided by the tokens in the chunk and counted for each",
        generation=NATIVE,
        metric="itl",
    ),
    CHUNKS: Quantity(
        words="the gaps between chunks; chunks without text are skipped", generation=CHUNKS
    ),
    OLD: Quantity(words="the gaps between chunks, whatever tokens they hold", generation=OLD),
}
RATES = {
    "request_throughput": rate("completed requests per second", "req/s"),
    "input_throughput": rate("prompt tokens per second"),
    "output_throughput": rate("answer tokens per second, as asked for unless the engine counts"),
    "total_throughput": rate("prompt and answer tokens per second"),
    "request_goodput": rate("requests per second that kept the limits given", "req/s"),
}


def recognises(content: Content) -> bool:
    return {"backend", "random_range_ratio", "completed"} <= content.first.keys()


def read(content: Content) -> list[ImportedTrial]:
    """One trial an object; raises Unreadable."""
    return [_trial(record) for record in content.records]


def _trial(record: Record) -> ImportedTrial:
    fields = Fields(record.value, record)
    generation = "0.5" if "tag" in fields.values else OLD
    draft = Draft(tool=Tool.SGLANG, line=record.line)
    for key, quantity in RATES.items():
        draft.take(key, fields.number(key), quantity)
    latencies = LATENCIES | {"itl": ITL[_itl_generation(fields, generation)]}
    for key, statistic, quantity in statistics(fields.values, latencies, "_ms"):
        draft.take(key, fields.number(key), quantity, statistic)
    requests = requests_of(fields)
    draft.recompute(requests, _itl_generation(fields, generation))
    failed = sum(request.error is not None for request in requests)
    completed = fields.count("completed")
    if completed is None:
        raise fields.wrong("completed", "is missing: was the run interrupted?")
    state, reason, values = draft.outcome(completed, failed, first_error(fields.list("errors")))
    return ImportedTrial(
        tool=Tool.SGLANG,
        generation=generation,
        subject=_subject(fields, completed),
        state=state,
        reason=reason,
        values=values,
        requests=requests,
        line=record.line,
        content=content_key(record.value, len(record.text)),
    )


def _itl_generation(fields: Fields, generation: str) -> str:
    if generation == OLD:
        return OLD
    return NATIVE if fields.text("backend") == "sglang" else CHUNKS


def _subject(fields: Fields, completed: int) -> Subject:
    """Random lengths as asked for: they vary by the ratio. Newer servers tell the model."""
    server = fields.values.get("server_info")
    info = Fields(server if isinstance(server, dict) else {}, fields.record, "server_info")
    random = (fields.text("dataset_name") or "").startswith("random")
    notes = [key for key in ("backend", "tag", "random_range_ratio") if key in fields]
    mean_in = by_two_digits(fields.number("total_input_tokens"), completed)
    mean_out = by_two_digits(fields.number("total_output_tokens"), completed)
    return Subject(
        model=info.text("model_path"),
        engine=fields.text("backend"),
        tensor_parallel=info.count("tp_size"),
        request_rate=None
        if fields.text("request_rate") == "trace"
        else fields.number("request_rate"),
        concurrency=fields.count("max_concurrency"),
        requests=completed,
        input_tokens=fields.number("random_input_len") if random else mean_in,
        output_tokens=fields.number("random_output_len") if random else mean_out,
        dataset=fields.text("dataset_name"),
        further=tuple(sorted((key, fields.text(key) or "") for key in notes)),
    )
