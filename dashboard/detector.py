"""The detector's own figures in words and tables. Pure: words in, HTML out."""

from collections.abc import Iterable, Mapping, Sequence

from dashboard.markup import Column, Field, address, table
from dashboard.units import hours, percent
from regressions.meters import FalseAlarms, NightCost
from regressions.policy import Policy
from regressions.power import CHANCE, LEAST_NIGHTS, SeriesPower
from regressions.sentences import counted, figure, size
from schema.store.silent import SilentVerdict

CANNOT_TELL = (
    "Cannot tell: no night has a control arm that could be judged. Name a pinned build in the "
    "matrix, `control: vllm==0.32.0`; every nightly launch then runs it in turns with tonight's "
    "build, and whatever changes there is a false alarm."
)
HOW_TO_READ = f"""
- **False alarm**: a change found in the control arm, whose build and host are the same on both
  sides. Comparisons of one night share their trials, so the rate and its exact interval (Clopper
  and Pearson 1934) count nights. The policy promises a false alarm in at most q of them.
- **Scatter** is a relative standard deviation in spite of steps and outliers: of a trial around its
  night, and of a night around those beside it. The second is told from {LEAST_NIGHTS} nights on.
  More trials make only the first smaller.
- **Seen** means found by the screen of a night with a chance of {size(CHANCE)}: significant at
  alpha, corrected for the cells of the night, and with an estimate of at least the change that
  matters. A change of just that size is told half of the time, so the table asks for twice as much
  unless you choose another one. Nights count as independent; a change that many metrics share is
  seen sooner, and one that moves a lone metric of many a little later.
- **GPU-hours** are the hours from the start of a launch to its end times its cards, whatever became
  of its trials. Where no night used a GPU, they are host-hours.
- **Shadow**: a policy that judges the same nights and is told to nobody.
"""
_COSTS = (
    Column(title="Night"),
    Column(title="Launches", figures=True),
    Column(title="Used", figures=True, hint="Of them lost in launches without a valid trial"),
    Column(
        title="Decided", figures=True, hint="Comparisons with a verdict other than inconclusive"
    ),
    Column(title="Undecided", figures=True),
    Column(title="A decision", figures=True),
)
_ALARMS = (
    Column(title="Night"),
    Column(title="Cell"),
    Column(title="Metric"),
    Column(title="Change", figures=True),
    Column(title="Why"),
)


def alarms_line(found: FalseAlarms, policy: Policy) -> str:
    """How often the policy cried wolf, and how sure that is."""
    if found.rate is None:
        return CANNOT_TELL
    low, high = found.interval(policy.confidence)
    kept = "which these nights are too few to tell"
    if high <= policy.q or low > policy.q:
        kept = "and keeps that" if high <= policy.q else "and breaks that"
    return (
        f"{found.nights_with_alarm} of {counted(found.nights, 'control night')} raised a false "
        f"alarm: {size(found.rate)} ({size(policy.confidence)} interval {size(low)} to "
        f"{size(high)}), {len(found.alarms)} of {counted(found.comparisons, 'comparison')}. The "
        f"policy promises at most {size(policy.q)} of the nights, {kept}."
    )


def cost_line(costs: Sequence[NightCost], unit: str) -> str:
    """What a decision took, over all the nights."""
    spent, decided = sum(one.hours for one in costs), sum(one.decided for one in costs)
    lost = sum(one.lost_hours for one in costs)
    wasted = f", {hours(lost, unit)} of them in launches without a valid trial" if lost else ""
    used = f"{counted(len(costs), 'night')} used {hours(spent, unit)}{wasted}"
    if not decided:
        return f"{used} and decided nothing."
    each = hours(spent / decided, unit)
    return f"{used} and decided {counted(decided, 'comparison')}: {each} a decision."


def cost_table(costs: Iterable[NightCost], unit: str) -> str:
    """A row a night, the newest first."""
    rows = [
        (
            Field(text=own.night, link=address("", night=own.night)),
            Field(text=str(own.launches)),
            Field(
                text=hours(own.hours, unit),
                below=f"{hours(own.lost_hours, unit)} lost" if own.lost_hours else "",
            ),
            Field(text=str(own.decided)),
            Field(text=str(own.undecided)),
            Field(text=hours(own.hours_per_decision, unit)),
        )
        for own in costs
    ]
    return table(_COSTS, rows, name="costs")


def alarm_table(alarms: Iterable[SilentVerdict], names: Mapping[str, str]) -> str:
    """A row a false alarm, the newest first."""
    rows = [
        (
            Field(text=own.night, tone=own.verdict),
            Field(text=names.get(own.cell, own.cell)),
            Field(text=own.metric, link=address("series", cell=own.cell, metric=own.metric)),
            Field(text=percent(own.change)),
            Field(text=own.reason),
        )
        for own in reversed(list(alarms))
    ]
    return table(_ALARMS, rows, name="false alarms")


def headline(
    found: FalseAlarms, policy: Policy, series: Sequence[SeriesPower]
) -> tuple[str, str, list[str]]:
    """The page in one sentence, its tone, and quieter lines."""
    noisy = sum(one.is_too_noisy for one in series)
    small = sum(not one.is_judgeable for one in series)
    if found.rate is None:
        text, tone = "False alarms: cannot tell yet", "inconclusive"
    else:
        text = (
            f"False alarms in {found.nights_with_alarm} of {counted(found.nights, 'control night')}"
        )
        low, _ = found.interval(policy.confidence)
        tone = "regression" if low > policy.q else "no change"
    if noisy or small:
        tone = "inconclusive" if tone == "no change" else tone
    seen = len(series) - noisy - small
    return (
        f"{text}; {seen} of {len(series)} series would show twice the change that matters",
        tone,
        [
            f"{noisy} too noisy to judge, {small} with too few trials.",
            f"Policy {policy.key}: alpha {figure(policy.alpha)}, q {figure(policy.q)}, "
            f"at least {policy.min_trials} trials a side.",
        ],
    )
