"""GuideLLM's benchmarks file, JSON or YAML: one object with a list of benchmarks."""

from formats.content import Content
from formats.draft import Draft, content_key, first_error, span
from formats.errors import Unreadable
from formats.fields import Fields
from formats.quantities import Quantity, rate
from schema.imports import ImportedRequest, ImportedTrial, Subject, Tool

V2 = "2"
V1 = "1"
STATISTICS = ("mean", "median", "std_dev")
PERCENTILES = ("p01", "p05", "p10", "p25", "p75", "p90", "p95", "p99", "p999")
_TOKENS = Quantity(words="tokens of a request's", unit="tok", factor=1, direction=None)


def quantities(generation: str) -> dict[str, Quantity]:
    """What a schema generation measures; the second weights and counts otherwise."""
    weighted = ", weighted by its gaps" if generation == V2 else ""
    shared = {
        "request_latency": Quantity(words="the time from the request to its end", factor=1),
        "time_to_first_token_ms": Quantity(words="the time from the request to its first text"),
        "time_per_output_token_ms": Quantity(
            words="a request's time per answer token, first token included"
        ),
        "inter_token_latency_ms": Quantity(
            words=f"a request's mean gap, (last - first token) / (answer tokens - 1){weighted}"
        ),
        "requests_per_second": rate("finished requests per second over time", "req/s"),
        "output_tokens_per_second": rate("answer tokens per second over time"),
        "tokens_per_second": rate("prompt and answer tokens per second over time"),
        "request_concurrency": Quantity(
            words="requests in flight over time", unit="1", factor=1, direction=None
        ),
        "prompt_token_count": _TOKENS,
        "output_token_count": _TOKENS,
    }
    if generation == V2:
        shared["prompt_tokens_per_second"] = rate("prompt tokens per second over time")
        shared["request_scheduled_latency"] = Quantity(
            words="the time from the scheduled moment to the request's end", factor=1
        )
    return {
        name: Quantity(**{**vars(quantity), "generation": generation})
        for name, quantity in shared.items()
    }


def recognises(content: Content) -> bool:
    benchmarks, metadata = content.first.get("benchmarks"), content.first.get("metadata")
    if not isinstance(benchmarks, list):
        return False
    first = benchmarks[0] if benchmarks else None
    old = isinstance(first, dict) and {"request_totals", "run_stats"} <= first.keys()
    return old or (isinstance(metadata, dict) and "guidellm_version" in metadata)


def read(content: Content) -> list[ImportedTrial]:
    """One trial a benchmark; raises Unreadable."""
    trials = []
    for record in content.records:
        document = Fields(record.value, record)
        if not document.list("benchmarks"):
            raise document.wrong("benchmarks", "is empty: nothing was run")
        trials += [_trial(own, document) for own in document.items("benchmarks")]
    return trials


def _trial(own: Fields, document: Fields) -> ImportedTrial:
    record = document.record
    metrics = own.inner("metrics")
    generation = V2 if "scheduler_metrics" in own else V1
    totals = (own if "request_totals" in own else metrics).inner("request_totals")
    if "successful" not in totals:
        raise Unreadable(f"`{own.path}.request_totals` is missing", record.line)
    if "duration" not in own:  # written last; YAML that was cut is YAML all the same
        raise Unreadable(
            f"`{own.path}.duration` is missing: does the file end too early?", record.line
        )
    draft = Draft(tool=Tool.GUIDELLM, line=record.line)
    for name, quantity in quantities(generation).items():
        _take(draft, metrics, name, quantity)
    requests, errors = _requests(own)
    failed = totals.count("errored") or 0
    state, reason, values = draft.outcome(totals.count("successful"), failed, first_error(errors))
    return ImportedTrial(
        tool=Tool.GUIDELLM,
        generation=generation,
        tool_version=document.inner("metadata").text("guidellm_version"),
        subject=_subject(own, document),
        measured_at=own.moment("start_time"),
        state=state,
        reason=reason,
        values=values,
        requests=requests,
        line=record.line,
        content=content_key(own.values, len(record.text)),
    )


def _take(draft: Draft, metrics: Fields, name: str, quantity: Quantity) -> None:
    """Of the successful requests; a distribution of none has zeros that mean nothing."""
    answered = metrics.inner(name).inner("successful")
    if not answered.number("count"):
        return
    for statistic in STATISTICS:
        draft.take(f"{name}.{statistic}", answered.number(statistic), quantity, statistic)
    percentiles = answered.inner("percentiles")
    for key in PERCENTILES:
        words = "p99.9" if key == "p999" else f"p{int(key[1:])}"
        draft.take(f"{name}.{key}", percentiles.number(key), quantity, words)


def _requests(own: Fields) -> tuple[tuple[ImportedRequest, ...], list[str]]:
    """Answered and failed ones; those that the end cut off say nothing."""
    kept = own.inner("requests")
    answered, errored = list(kept.items("successful")), list(kept.items("errored"))
    began = own.number("start_time")
    requests = []
    errors = [row.text("error") or row.inner("info").text("error") or "failed" for row in errored]
    for index, row in enumerate(answered + errored):
        error = errors[index - len(answered)] if index >= len(answered) else None
        requests.append(_request(row, index, error, began))
    return tuple(requests), errors


def _request(row: Fields, index: int, error: str | None, began: float | None) -> ImportedRequest:
    started = row.number("request_start_time" if "request_start_time" in row else "start_time")
    ttft, latency = row.number("time_to_first_token_ms"), row.number("request_latency")
    known = started is not None and began is not None
    return ImportedRequest(
        index=index,
        error=error,
        start_s=span((started or 0) - (began or 0)) if known else None,
        ttft_s=ttft / 1e3 if ttft and ttft > 0 and error is None else None,
        e2e_s=latency if latency and latency > 0 and error is None else None,
        input_tokens=row.count("prompt_tokens"),
        output_tokens=row.count("output_tokens"),
    )


def _subject(own: Fields, document: Fields) -> Subject:
    """As asked for. A sweep finds its rates: its place tells them apart."""
    old, new = own.inner("args"), own.inner("config")
    strategy = (new if new.values else old).inner("strategy")
    notes = {
        "strategy": strategy.text("type_"),
        "data": own.inner("request_loader").text("data"),
    }
    if old.inner("profile").text("type_") == "sweep":
        notes["place in the sweep"] = old.text("strategy_index")
    asked = next(document.inner("config").inner("spec").items("data"), None)
    return Subject(
        model=new.inner("backend").text("model") or own.inner("worker").text("backend_model"),
        request_rate=strategy.number("rate"),
        concurrency=strategy.count("streams"),
        input_tokens=asked.number("prompt_tokens") if asked else None,
        output_tokens=asked.number("output_tokens") if asked else None,
        further=tuple(sorted((key, text) for key, text in notes.items() if text)),
    )
