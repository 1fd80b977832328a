"""What a real file contains that is no measurement of tonight's build, and is left out. Pure.

Each rule looks at the past only, so that a night reads the same whatever comes after it.
"""

import pandas as pd

RERUN_NIGHTS = 3
"""An older build that runs for so many nights in a row is what is deployed, not a re-run."""


def cleaned(rows: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, int]]:
    """Valid trials by series and time, with `night` (from 0 in its series); and what was left out.

    rows: as read_series_file gives them, in any order.
    """
    rows = rows.sort_values(["series", "order", "line"], kind="stable", ignore_index=True)
    left_out: dict[str, int] = {}
    for name, rule in RULES.items():
        bad = rule(rows)
        left_out[name] = int(bad.sum())
        rows = rows[~bad].reset_index(drop=True)
    return _numbered(rows), {name: count for name, count in left_out.items() if count}


def _failed(rows: pd.DataFrame) -> pd.Series:
    """No value, or an exact 0 in a series that was never below 0: what a failed trial leaves."""
    lowest = rows.groupby("series", sort=False)["value"].cummin()
    return rows["value"].isna() | ((rows["value"] == 0) & (lowest >= 0))


def _published_twice(rows: pd.DataFrame) -> pd.Series:
    return rows.duplicated(["series", "order", "value", "trial"])


def _older_build(rows: pd.DataFrame) -> pd.Series:
    """Trials of a build older than the newest so far, by first appearance in the series."""
    named = rows["build"] != ""
    if not named.any():
        return ~named & False
    rows = rows.assign(
        first=rows.groupby(["series", "build"], sort=False)["order"].transform("min")
    )
    newest = rows.groupby("series", sort=False)["first"].cummax()
    tonight = newest.groupby([rows["series"], rows["order"]], sort=False).transform("max")
    older = named & (rows["first"] < tonight)
    nights = _numbered(rows)["night"]
    run = (older != older.groupby(rows["series"], sort=False).shift()).cumsum()
    length = nights - nights.groupby([rows["series"], run], sort=False).transform("min") + 1
    return older & (length < RERUN_NIGHTS)


def _published_again(rows: pd.DataFrame) -> pd.Series:
    """A night with the build and the very values of the night before, and of no night earlier."""
    nights = rows.groupby(["series", "order"], sort=False).agg(
        build=("build", "first"), total=("value", "sum"), trials=("value", "size")
    )
    same = ["series", "build", "total", "trials"]
    table = nights.reset_index()
    earlier = table.groupby(same, sort=False).cumcount()
    last = table.groupby("series", sort=False)[["build", "total", "trials"]].shift()
    again = (last == table[["build", "total", "trials"]]).all(axis=1)
    again &= (table["build"] != "") & (earlier == 1)
    keys = pd.MultiIndex.from_frame(table.loc[again, ["series", "order"]])
    return pd.Series(pd.MultiIndex.from_frame(rows[["series", "order"]]).isin(keys), rows.index)


def _numbered(rows: pd.DataFrame) -> pd.DataFrame:
    new = (rows["order"] != rows["order"].shift()) | (rows["series"] != rows["series"].shift())
    total = new.cumsum()
    first = total.groupby(rows["series"], sort=False).transform("min")
    return rows.assign(night=total - first)


RULES = {
    "trials without a value, or with exactly 0": _failed,
    "points published twice": _published_twice,
    "trials of an older build": _older_build,
    "nights published again": _published_again,
}
"""In this order."""
