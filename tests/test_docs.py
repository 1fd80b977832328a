"""What the code has, the documents explain."""

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from dags.flow import ATTEMPTS
from regressions.attribution import Witness
from regressions.policy import read_policy
from runners import checks, measuring
from runners.builds.provided import VARIANTS
from schema.cells import Gpu
from schema.episodes import Attribution, EpisodeState
from schema.judgements import Verdict
from schema.metrics import METRICS, Metric
from schema.tables import NightRow
from schema.trials import Arm, TrialState
from schema.words import digest
from tailwatch.__main__ import build_parser

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
DOCUMENTS = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])
CODE = (
    "alerts",
    "dags",
    "dashboard",
    "formats",
    "regressions",
    "runners",
    "schema",
    "stats",
    "tailwatch",
)
NAMED = re.compile(r"\b((?:TAILWATCH|SLACK)_[A-Z][A-Z_]*[A-Z])\b")
READ = re.compile(r"environ(?:\.get\(|\[)\s*\"([A-Z_]+)\"")
LINK = re.compile(r"\]\(([^)\s]+)\)")
GLOSSARY = (
    *("engine", "build", "variant", "model", "precision", "workload", "cell", "family"),
    *("matrix", "host", "night", "launch", "trial", "arm", "request", "metric", "measurement"),
    *("series", "noise floor", "comparison", "verdict", "episode", "digest", "baseline"),
    *("contender", "spool", "bundle", "policy", "room"),
    *("member", "transition", "attribution", "witness", "spell", "last good level"),
)


def text(name: str) -> str:
    return (DOCS / name).read_text()


def prose() -> str:
    return "\n".join(path.read_text() for path in DOCUMENTS)


def commands(parser: argparse.ArgumentParser, above: str = "tailwatch") -> Iterator[str]:
    """`tailwatch db migrate` and every other sub-command, in full."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, inner in action.choices.items():
                yield f"{above} {name}"
                yield from commands(inner, f"{above} {name}")
        elif not action.option_strings and action.choices:
            yield from (f"{above} {choice}" for choice in action.choices)


def targets() -> list[str]:
    """Those that `make help` lists."""
    makefile = (ROOT / "Makefile").read_text()
    return re.findall(r"^([a-z][a-z-]*):.*## ", makefile, re.MULTILINE)


def settings() -> set[str]:
    """Environment variables that the code names."""
    files = [*ROOT.glob("scripts/*"), ROOT / "Makefile"]
    files += [path for package in CODE for path in (ROOT / package).rglob("*.py")]
    code = "\n".join(path.read_text() for path in files)
    return {*NAMED.findall(code), *READ.findall(code)}


@pytest.mark.parametrize("command", list(commands(build_parser())))
def test_every_command_is_documented(command: str) -> None:
    assert command in prose()


def test_no_other_command_is_documented() -> None:
    known = {command.split()[1] for command in commands(build_parser())}
    assert set(re.findall(r"(?:`|^    )tailwatch ([a-z]+)", prose(), re.MULTILINE)) <= known


@pytest.mark.parametrize("target", targets())
def test_every_make_target_is_documented(target: str) -> None:
    assert f"make {target}" in prose()


@pytest.mark.parametrize("metric", list(METRICS.values()), ids=list(METRICS))
def test_every_metric_is_documented_as_it_is(metric: Metric) -> None:
    judged = "yes" if metric.judged else "no"
    facts = (metric.unit, metric.direction, metric.definition, metric.least_observations, judged)
    row = " | ".join([f"| `{metric.name}`", *map(str, facts)])
    assert f"{row} |" in text("metrics.md").splitlines()


@pytest.mark.parametrize("table", sorted(NightRow.metadata.tables))
def test_every_table_is_documented(table: str) -> None:
    assert re.search(rf"\b{table}\b", text("schema.md"))


@pytest.mark.parametrize("setting", sorted(settings()))
def test_every_environment_variable_is_documented(setting: str) -> None:
    assert f"`{setting}`" in text("settings.md")


@pytest.mark.parametrize("word", GLOSSARY)
def test_every_word_is_explained(word: str) -> None:
    assert f"| **{word}** |" in text("glossary.md")


@pytest.mark.parametrize(
    "word", [*Arm, *TrialState, *Verdict, *EpisodeState, *Attribution, *Witness]
)
def test_every_choice_is_in_the_glossary(word: str) -> None:
    assert re.search(rf"\b{word}\b", text("glossary.md"))


@pytest.mark.parametrize("variant", list(VARIANTS))
def test_every_variant_is_documented(variant: str) -> None:
    assert f"`+{variant}`" in prose()


@pytest.mark.parametrize(
    "limit",
    [
        f"| `failed_requests` | at most {checks.FAILED_SHARE:.0%} |",
        f"less than {measuring.AGREE:.0%} (at most {measuring.MOST_WINDOWS} windows)",
        f"at most {checks.GPU_LAG_S * 1e3:g} ms late ({checks.LAG_S[Gpu.CPU] * 1e3:g} ms on a CPU",
        f"at most {checks.GPU_MERGED_SHARE:.1%} of the events",
        f"({checks.MERGED_SHARE[Gpu.CPU]:.0%} on a CPU host)",
        f"at most {checks.GPU_LAG_S * 1e3:g} ms after the drawn time",
        f"slewed by at most {checks.CLOCK_MOVED_S * 1e3:g} ms",
        f"mean within {checks.AGREEMENT:.0%} of the engine's own",
        f"TTFT {checks.GPU_TTFT_PATH_S * 1e3:g} ms ({checks.TTFT_PATH_S[Gpu.CPU] * 1e3:g} ms on a",
        f"ITL {checks.ITL_PATH_S * 1e3:g} ms",
        f"at most {checks.FOREIGN_CPU:.0%} of the cores",
        f"up to {ATTEMPTS} attempts of the launch",
    ],
)
def test_every_limit_of_a_trial_is_documented_as_it_is(limit: str) -> None:
    assert limit.replace("%", " %") in text("architecture.md")


def test_the_detectors_figures_are_those_of_the_shipped_rules() -> None:
    """Else `make bench-detector` is due."""
    rules = digest(read_policy().series.model_dump(mode="json"))
    assert f"Rules for series `{rules}`" in text("detector.md")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_leads_somewhere(document: Path) -> None:
    found = [link.partition("#")[0] for link in LINK.findall(document.read_text())]
    local = [link for link in found if link and "://" not in link]
    assert not [link for link in local if not (document.parent / link).exists()]
