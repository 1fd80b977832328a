"""What an engine counts of itself on its Prometheus page, and what a window added to it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, fields

from runners.errors import EngineRestarted
from runners.prometheus import Samples


@dataclass(frozen=True, kw_only=True)
class Counters:
    """Sums over all label sets (several engines, streams and others). None where an engine has no
    such counter, or has not used it yet. `_s` are histograms' sums, `_count` their observations."""

    requests: float | None = None
    """That ended."""
    prompt_tokens: float | None = None
    output_tokens: float | None = None
    cached_tokens: float | None = None
    """Prompt tokens served from the prefix cache."""
    preemptions: float | None = None
    ttft_s: float | None = None
    ttft_count: float | None = None
    itl_s: float | None = None
    itl_count: float | None = None
    e2e_s: float | None = None
    e2e_count: float | None = None
    queue_s: float | None = None
    queue_count: float | None = None

    @property
    def ttft_mean_s(self) -> float | None:
        return _mean(self.ttft_s, self.ttft_count)

    @property
    def itl_mean_s(self) -> float | None:
        return _mean(self.itl_s, self.itl_count)

    @property
    def e2e_mean_s(self) -> float | None:
        return _mean(self.e2e_s, self.e2e_count)

    @property
    def queue_mean_s(self) -> float | None:
        return _mean(self.queue_s, self.queue_count)


NAMES = tuple(field.name for field in fields(Counters))


def read(samples: Samples, names: Mapping[str, str]) -> Counters:
    """Counters by the engine's own names: of a counter as it stands on the page, of a histogram
    (`ttft`, `itl`, `e2e`, `queue`) without its ending."""
    wanted: dict[str, str] = {}
    for ours, theirs in names.items():
        if ours in NAMES:
            wanted[ours] = theirs
        else:
            wanted |= {f"{ours}_s": f"{theirs}_sum", f"{ours}_count": f"{theirs}_count"}
    return Counters(**{ours: samples.get(theirs) for ours, theirs in wanted.items()})


def gained(before: Counters, after: Counters) -> Counters:
    """What a window added. A counter that appears in it began at 0.

    Raises EngineRestarted when a counter fell or vanished: then no difference means anything.
    """
    gains: dict[str, float | None] = {}
    fell = []
    for name in NAMES:
        had, has = getattr(before, name), getattr(after, name)
        gains[name] = None if has is None else has - (had or 0.0)
        if had is not None and (has is None or has < had):
            fell.append(f"{name} from {had:g} to {'nothing' if has is None else f'{has:g}'}")
    if fell:
        raise EngineRestarted(
            f"the engine's own counters fell during the window ({', '.join(fell)}): it was "
            "started again behind its address, look into the end of its log"
        )
    return Counters(**gains)


def _mean(total: float | None, count: float | None) -> float | None:
    return total / count if total is not None and count else None
