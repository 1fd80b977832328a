"""Per-request arrays of `vllm bench serve` and `sglang.benchmark.serving`, in seconds."""

from typing import Any

from formats.draft import span
from formats.fields import Fields, finite
from formats.storable import storable
from schema.imports import ImportedRequest

_ARRAYS = ("ttfts", "itls", "latencies", "start_times", "errors", "input_lens", "output_lens")


def requests_of(fields: Fields) -> tuple[ImportedRequest, ...]:
    """Of a file with details: arrays in the order of the requests, failed ones included."""
    columns = {key: fields.list(key) for key in _ARRAYS}
    if not columns["ttfts"]:
        return ()
    starts = [_value(fields, "start_times", value) for value in columns["start_times"]]
    first = min((start for start in starts if start is not None), default=0.0)
    requests = []
    for index in range(len(columns["ttfts"])):
        row = {
            key: column[index] if index < len(column) else None for key, column in columns.items()
        }
        requests.append(_request(fields, index, row, first))
    return tuple(requests)


def _request(fields: Fields, index: int, row: dict[str, Any], first: float) -> ImportedRequest:
    start = _value(fields, "start_times", row["start_times"])
    error = storable(str(row["errors"])) if row["errors"] else None
    ttft = _value(fields, "ttfts", row["ttfts"])
    failed = error is not None or not ttft
    raw = row["itls"] if isinstance(row["itls"], list) else []
    gap_s = [_value(fields, "itls", value) for value in raw]
    latency = _value(fields, "latencies", row["latencies"])
    if latency is None and ttft and raw:
        latency = span(ttft + sum(gap for gap in gap_s if gap))
    return ImportedRequest(
        index=index,
        error=(error or "no token arrived") if failed else None,
        start_s=None if start is None else span(start - first),
        ttft_s=None if failed else ttft,
        e2e_s=None if failed else latency,
        gap_s=() if failed else tuple(gap for gap in gap_s if gap is not None),
        input_tokens=_tokens(fields, "input_lens", row["input_lens"]),
        output_tokens=_tokens(fields, "output_lens", row["output_lens"]),
    )


def _value(fields: Fields, key: str, value: Any) -> float | None:
    """An item of an array, in seconds; negative ones are none."""
    try:
        number = finite(value)
    except ValueError:
        raise fields.wrong(key, "should hold numbers only") from None
    return None if number is None or number < 0 else number


def _tokens(fields: Fields, key: str, value: Any) -> int | None:
    number = _value(fields, key, value)
    return None if number is None or number > 2**31 - 1 else int(number)
