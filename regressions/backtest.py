"""Series replayed night by night: what the policy would have said, and when."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from regressions.histories import Matrix, histories
from regressions.policy import SeriesRules
from regressions.watch import Move, replay

BLOCK = 20_000_000
"""Trials, absent ones included, that are replayed at a time: 160 MB."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """A move with what is known of its series."""

    move: Move
    change: float
    """Relative, signed."""
    series: str
    nights: pd.DataFrame
    """Of the series, one row each: order, time, direction, cell, engine, build, environment."""


def changes(trials: pd.DataFrame, rules: SeriesRules) -> list[Change]:
    """Every change in the order in which its night came. `trials`: from regressions.cleaning."""
    found = [
        (block[move.row], move, table.change(move.row, move.found.shift))
        for block in _blocks(trials)
        for table in [histories(_table(trials, block))]
        for move in replay(table, rules)
    ]
    moved = trials[trials["series"].isin({name for name, _, _ in found})]
    last_rows = moved.drop_duplicates(["series", "night"], keep="last")
    nights = {
        name: own.reset_index(drop=True) for name, own in last_rows.groupby("series", sort=False)
    }
    told = [
        Change(move=move, change=change, series=name, nights=nights[name])
        for name, move, change in found
    ]
    return sorted(told, key=lambda one: (one.nights["order"].iloc[one.move.night], one.series))


def _blocks(trials: pd.DataFrame) -> Iterator[list[str]]:
    """Series of like length together, so that little of a block is absent nights."""
    lengths = trials.groupby("series", sort=False)["night"].max() + 1
    widest = int(trials.groupby(["series", "order"], sort=False).size().max()) if len(trials) else 1
    block: list[str] = []
    for name, length in lengths.sort_values(kind="stable").items():
        if block and (len(block) + 1) * length * widest > BLOCK:
            yield block
            block = []
        block.append(str(name))
    if block:
        yield block


def _table(trials: pd.DataFrame, block: list[str]) -> Matrix:
    """series x nights x trials, NaN for none."""
    rows = pd.Series(np.arange(len(block)), index=block)
    own = trials[trials["series"].isin(block)]
    row = rows[own["series"]].to_numpy()
    night = own["night"].to_numpy()
    slot = own.groupby(["series", "night"], sort=False).cumcount().to_numpy()
    table = np.full((len(block), night.max() + 1, slot.max() + 1), np.nan)
    table[row, night, slot] = own["value"].to_numpy()
    return table
