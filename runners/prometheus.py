"""Reading a Prometheus text page: enough of it for an engine's counters and histograms."""

import re
from collections.abc import Mapping

Samples = Mapping[str, float]
"""Sum over all label sets of each sample name; labelled lines also under `name{labels}`."""

_LINE = re.compile(r"^([A-Za-z_:][\w:]*)(\{.*\})?\s+(\S+)")


def parse(page: str) -> dict[str, float]:
    """Samples of one page. Lines that are no samples are skipped, values stay base units."""
    samples: dict[str, float] = {}
    for line in page.splitlines():
        match = _LINE.match(line)
        if match is None:
            continue
        name, labels, text = match.groups()
        try:
            value = float(text)
        except ValueError:
            continue
        samples[name] = samples.get(name, 0.0) + value
        if labels:
            samples[name + labels] = value
    return samples


def each(samples: Samples, name: str) -> list[float]:
    """The value of every label set of a sample; its one value where it has no labels."""
    labelled = [value for line, value in samples.items() if line.startswith(name + "{")]
    return labelled or [samples[name]] if name in samples else []


def only(samples: Samples, key: str, value: str) -> dict[str, float]:
    """The same page without the label sets in which `key` has another value."""
    another = re.compile(rf'[{{,]{key}="(?!{re.escape(value)}")')
    dropped = {line for line in samples if another.search(line)}
    shorter = {line.partition("{")[0] for line in dropped}
    kept = {line: own for line, own in samples.items() if line not in dropped | shorter}
    for line, own in list(kept.items()):
        name, labels, _ = line.partition("{")
        if labels and name in shorter:
            kept[name] = kept.get(name, 0.0) + own
    return kept


def label(samples: Samples, name: str, key: str) -> str | None:
    """The value of one label of a sample, such as `kv_cache_size_tokens` of a config info."""
    for line in samples:
        if line.startswith(name + "{"):
            match = re.search(rf'[{{,]{key}="([^"]*)"', line)
            if match:
                return match.group(1)
    return None
