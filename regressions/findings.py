"""The changes of a replay as an engineer reads them: verdict, episode, attribution, reasons."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from regressions.attribution import Fingerprint, Seen, Witness, Witnessed, attribute
from regressions.backtest import Change
from regressions.policy import Policy, SeriesRules
from regressions.sentences import counted, figure, percent, size
from regressions.watch import Kind
from schema.episodes import Attribution, EpisodeState
from schema.judgements import Verdict
from schema.words import Word, digest

TOGETHER = 3
"""Nights that the beginnings of one episode lie apart at most: what dating them leaves open."""
NEWEST = 3
"""Names that a reason lists."""


class Finding(Word):
    """One change of an episode."""

    series: str
    flagged_at: str
    """Time of the night that showed it, as the file writes it."""
    change_at: str
    """Time of the first night of the change."""
    verdict: Verdict | EpisodeState
    """Regression or improvement once later nights have confirmed it, and so an alarm; until then
    the state of its episode: suspected after one night, transient if it did not last."""
    change: float
    """Relative and signed: -0.05 is 5 % lower."""
    p: float
    episode: str
    attribution: Attribution
    reasons: tuple[str, ...]
    policy: str
    """Hash of the policy."""

    @property
    def is_alarm(self) -> bool:
        return isinstance(self.verdict, Verdict)


@dataclass
class _Episode:
    """An episode while the replay runs."""

    key: str
    worse: bool
    began: float
    """Place of its first night among the times of its group."""
    members: set[str] = field(default_factory=set)


def findings(changes: Sequence[Change], policy: Policy) -> list[Finding]:
    """One a change, in their order: each looks at those before it only."""
    story = _Story(changes, policy)
    return [story.told(change) for change in changes]


class _Story:
    def __init__(self, changes: Sequence[Change], policy: Policy) -> None:
        self._policy = policy
        self._episodes: dict[str, list[_Episode]] = {}
        self._of_series: dict[str, _Episode] = {}
        self._seen: list[tuple[Change, bool]] = []
        times = sorted({order for one in changes for order in one.nights["order"]})
        self._places = {order: place for place, order in enumerate(times)}

    def told(self, change: Change) -> Finding:
        move, nights = change.move, change.nights
        worse = (change.change > 0) == (nights["direction"].iloc[0] == "lower")
        attribution, because = self._attributed(change, worse)
        episode = self._episode(change, worse)
        self._seen.append((change, worse))
        return Finding(
            series=change.series,
            flagged_at=nights["time"].iloc[move.night],
            change_at=nights["time"].iloc[move.began],
            verdict=_verdict(move.kind, worse),
            change=change.change,
            p=move.found.p,
            episode=episode,
            attribution=attribution,
            reasons=(*_reasons(change, self._policy.series), because),
            policy=self._policy.key,
        )

    def _episode(self, change: Change, worse: bool) -> str:
        """Series of one engine (else cell) that move the same way in the same nights are one
        episode; what a series returns from, or did not keep, belongs to what it was in."""
        own = self._of_series.get(change.series)
        if change.move.kind in (Kind.RETURN, Kind.TRANSIENT) and own is not None:
            return own.key
        began = self._began(change)
        group = self._episodes.setdefault(_group(change), [])
        for episode in reversed(group):
            known = change.series in episode.members and own is not episode
            if episode.worse == worse and abs(episode.began - began) <= TOGETHER and not known:
                break
        else:
            key = digest([change.series, change.nights["time"].iloc[change.move.began], worse])
            episode = _Episode(key=key, worse=worse, began=began)
            group.append(episode)
        episode.members.add(change.series)
        self._of_series[change.series] = episode
        return episode.key

    def _began(self, change: Change) -> int:
        return self._places[change.nights["order"].iloc[change.move.began]]

    def _attributed(self, change: Change, worse: bool) -> tuple[Attribution, str]:
        builds, new_build = _new(change, "build")
        environments, new_environment = _new(change, "environment")
        engine = next(self._other_engines(change, worse), None)
        said = Witnessed(
            seen=Seen.REPLAYED,
            build_changed=new_build,
            fingerprint=Fingerprint.HOST if new_environment else Fingerprint.SAME,
            other_engine=Witness.MOVED if engine else Witness.SILENT,
        )
        attribution, because = attribute(said)
        names = {"builds": ", ".join(builds), "environments": ", ".join(environments)}
        return attribution, because.format(engine=engine, **names)

    def _other_engines(self, change: Change, worse: bool) -> Iterator[str]:
        own = change.nights.iloc[change.move.night]
        for other, other_worse in self._seen:
            there = other.nights.iloc[other.move.night]
            apart = abs(self._began(change) - self._began(other))
            if (
                other_worse == worse
                and apart <= TOGETHER
                and own["engine"] not in ("", there["engine"])
                and there["engine"]
                and there["environment"] == own["environment"]
                and other.move.kind in (Kind.STEP, Kind.DRIFT)
            ):
                yield str(there["engine"])


def _group(change: Change) -> str:
    first = change.nights.iloc[0]
    for column in ("engine", "cell"):
        if first[column]:
            return f"{column} {first[column]}"
    return f"series {change.series}"


def _verdict(kind: Kind, worse: bool) -> Verdict | EpisodeState:
    if kind in (Kind.RETURN, Kind.TRANSIENT):
        return EpisodeState.TRANSIENT
    if kind is Kind.SUSPECTED:
        return EpisodeState.SUSPECTED
    return Verdict.REGRESSION if worse else Verdict.IMPROVEMENT


def _new(change: Change, column: str) -> tuple[list[str], bool | None]:
    """Names since the change that were not there before it, and whether there are any."""
    names, began = change.nights[column], change.move.began
    since = [name for name in names.iloc[began : began + change.move.found.nights] if name]
    before = {name for name in names.iloc[:began] if name}
    if not since or not before:
        return [], None
    fresh = [name for name in dict.fromkeys(since) if name not in before]
    return fresh[-NEWEST:], bool(fresh)


def _reasons(change: Change, rules: SeriesRules) -> Iterator[str]:
    found, move = change.move.found, change.move
    yield {
        Kind.STEP: f"{percent(change.change)} in {counted(found.nights, 'night')}",
        Kind.RETURN: f"{percent(change.change)}: back where it was, the episode closes",
        Kind.SUSPECTED: f"{percent(change.change)} tonight; the next nights will tell",
        Kind.TRANSIENT: f"{percent(change.change)} for one night; the next one is back",
        Kind.DRIFT: f"{percent(change.change)} crept in: the last {found.nights} nights against "
        f"the first {rules.drift_nights} since the last change",
    }[move.kind] + f", against {counted(found.count, 'night')} before"
    yield (
        f"{abs(found.distance):.1f} standard errors: a night scatters {size(found.sigma)}, "
        f"successive nights are taken to correlate by {found.drift:.2f}"
    )
    if found.rank_p is not None:
        yield (
            f"p {figure(found.p)} (alpha {rules.alpha:g}), exact Mann-Whitney p "
            f"{figure(found.rank_p)} (alpha {rules.rank_alpha:g}), "
            f"{counted(found.nights - 1, 'night')} confirm the first"
        )
