"""The digest of a night: its findings as headline, sections and rows, before any markup. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import urlencode

from alerts import episodes
from alerts.findings import FailedCell, Finding, Findings
from alerts.units import pair
from regressions.sentences import counted, effect, figure, some
from schema.episodes import Episode
from schema.judgements import CONDITIONS
from schema.metrics import METRICS
from schema.nights import NightKind

EPISODES = {
    "new": "New episodes",
    "back": "Back",
    "confirmed": "Confirmed",
    "closed": "Closed",
    "still open": "Still open",
}
"""What a night did to an episode, and the title under which that is told."""
NAMED_METRICS = 4
"""So many undecided metrics are named, the others counted."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line: what it is about, what is to be said, where to look."""

    label: str
    text: str
    link: str | None = None


@dataclass(frozen=True, kw_only=True)
class Group:
    """Rows about one cell; no title where they are about the night."""

    title: str | None
    rows: tuple[Row, ...]


@dataclass(frozen=True, kw_only=True)
class Section:
    """Findings that ask for the same."""

    title: str
    groups: tuple[Group, ...]


@dataclass(frozen=True, kw_only=True)
class Digest:
    """The one message of a night."""

    night: str
    headline: str
    is_bad: bool
    """Whether somebody has to look."""
    context: str
    link: str | None
    sections: tuple[Section, ...]


@dataclass(frozen=True, kw_only=True)
class Links:
    """Ways into the dashboard; None everywhere when its address is not known."""

    dashboard: str | None

    def to(self, page: str, **query: str) -> str | None:
        if not self.dashboard:
            return None
        return f"{self.dashboard.rstrip('/')}/{page}?{urlencode(query)}"


def digest(findings: Findings, links: Links) -> Digest:
    """What to say about a night, the most urgent first."""
    sections = [
        Section(title="Nothing ran", groups=tuple(_nothing(findings))),
        *_episodes(findings, links),
        Section(title="Host or packages changed", groups=tuple(_condition_changes(findings))),
        Section(title="Worse", groups=_by_cell(findings.worse, links)),
        Section(title="Failed", groups=tuple(_failed(one, links) for one in findings.failed)),
        Section(title="Not measured", groups=tuple(_unmeasured(findings))),
        Section(title="Better", groups=_by_cell(findings.better, links)),
        Section(title="Recovered", groups=_by_cell(findings.recovered, links)),
        Section(title="Known", groups=_by_cell(findings.known, links)),
        Section(title="Undecided", groups=_undecided(findings, links)),
    ]
    return Digest(
        night=findings.night.name,
        headline=f"{findings.night.name}: {', '.join(_counts(findings)) or 'nothing changed'}",
        is_bad=bool(findings.worse or findings.failed or findings.unmeasured)
        or findings.nothing_ran
        or any(episodes.is_news(one, findings.night.name) for one in findings.episodes),
        context=_context(findings),
        link=links.to("", night=findings.night.name),
        sections=tuple(section for section in sections if section.groups),
    )


def _counts(findings: Findings) -> Iterator[str]:
    if findings.nothing_ran:
        yield "nothing ran"
        return
    yield from episodes.headline_counts(findings.episodes, findings.night.name)
    counts = {
        "worse": len(findings.worse),
        "better": len(findings.better),
        "recovered": len(findings.recovered),
        "known": len(findings.known),
        "undecided": sum(one.count for one in findings.undecided),
    }
    yield from (f"{count} {name}" for name, count in counts.items() if count)
    if findings.failed:
        yield f"trials of {counted(len(findings.failed), 'cell')} failed"
    if findings.unmeasured:
        yield f"{counted(len(findings.unmeasured), 'cell')} not measured"


def _context(findings: Findings) -> str:
    night = findings.night
    contenders = ", ".join(night.contenders)
    past = ", ".join(night.baselines) or "the nights before"
    parts = [
        f"{contenders} against {past}",
        f"matrix {night.matrix}",
        counted(len(night.cells), "cell"),
        f"{findings.valid} of {counted(findings.trials, 'trial')} valid",
        f"{counted(findings.unchanged, 'metric')} unchanged",
    ]
    if findings.elsewhere:
        parts.append(f"{counted(findings.elsewhere, 'open episode')} about other cells")
    if findings.policy:
        parts.append(f"policy {findings.policy}")
    return " · ".join(parts)


def _episodes(findings: Findings, links: Links) -> Iterator[Section]:
    """One line an episode: with its reason when the night says one, without while it lasts."""
    groups = episodes.told_apart(findings.episodes, findings.night.name)
    for name, title in EPISODES.items():
        rows = tuple(
            Row(
                label=one.cause.words,
                text=episodes.line(one) + (_why(one) if _has_news(one, name, findings) else ""),
                link=links.to("episodes", episode=one.key),
            )
            for one in groups.get(name, [])
        )
        yield Section(title=title, groups=(Group(title=None, rows=rows),) if rows else ())


def _has_news(episode: Episode, group: str, findings: Findings) -> bool:
    """Whether the night did something to it, be it that it could not be confirmed."""
    last = episode.history[-1]
    return group != "still open" or (last.night == findings.night.name and not last.is_by_person)


def _why(episode: Episode) -> str:
    last = episode.history[-1]
    return f"; {episode.cause.reasons[0] if last.before is None else last.reason}"


def _nothing(findings: Findings) -> Iterator[Group]:
    if findings.nothing_ran:
        night = findings.night
        dag = "nightly" if night.kind is NightKind.NIGHTLY else "release"
        text = (
            f"{counted(night.launches, 'engine start')} planned, no trial recorded: see the run of "
            f"{night.name} in the DAG {dag}"
        )
        yield Group(title=None, rows=(Row(label="night", text=text),))


def _condition_changes(findings: Findings) -> Iterator[Group]:
    for change in findings.condition_changes:
        text = f"{change.text}. What changed in {counted(change.cells, 'cell')} may be its doing."
        yield Group(title=None, rows=(Row(label=change.what, text=text),))


def _by_cell(moved: Iterable[Finding], links: Links) -> tuple[Group, ...]:
    rows: dict[str, list[Row]] = {}
    for one in moved:
        rows.setdefault(one.slug, []).append(_row(one, links))
    return tuple(Group(title=slug, rows=tuple(own)) for slug, own in rows.items())


def _row(finding: Finding, links: Links) -> Row:
    comparison = finding.judgement.comparison
    sides = pair(
        comparison.baseline.median, comparison.contender.median, METRICS[comparison.metric].unit
    )
    if comparison.p_adjusted is None:  # no test decided
        text = f"{sides}, {finding.judgement.reason}"
    else:
        text = f"{sides}, {effect(comparison)}, {figure(comparison.p_adjusted)} over the night"
    # what concerns whole cells has its own section
    own = [one.text for one in comparison.warnings if one.code not in CONDITIONS]
    said = [] if finding.remark is None else [finding.remark]
    query = {"night": comparison.night, "cell": comparison.cell, "metric": comparison.metric}
    return Row(
        label=comparison.metric,
        text="; ".join([text, *own, *said]),
        link=links.to("compare", **query),
    )


def _failed(cell: FailedCell, links: Links) -> Group:
    lost = " and ".join(f"{count} {state}" for state, count in cell.lost.items())
    text = f"{lost} of {counted(cell.trials, 'trial')}: {cell.reason}"
    row = Row(label="trials", text=text, link=links.to("trial", trial=cell.example))
    return Group(title=cell.slug, rows=(row,))


def _unmeasured(findings: Findings) -> Iterator[Group]:
    if not findings.nothing_ran:
        for slug in findings.unmeasured:
            yield Group(title=slug, rows=(Row(label="trials", text="planned, and none was made"),))


def _undecided(findings: Findings, links: Links) -> tuple[Group, ...]:
    slugs = {cell.key: cell.slug for cell in findings.night.cells}
    rows: dict[str, list[Row]] = {}
    for one in findings.undecided:
        link = links.to(
            "compare", night=findings.night.name, cell=one.cells[0], metric=one.metrics[0]
        )
        title = some([slugs[cell] for cell in one.cells])
        rows.setdefault(title, []).append(
            Row(label=some(one.metrics, NAMED_METRICS - 1), text=one.reason, link=link)
        )
    return tuple(Group(title=title, rows=tuple(own)) for title, own in rows.items())
