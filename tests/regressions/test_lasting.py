"""Long windows against what their series were before: the cheap look, and what it finds."""

import numpy as np
import pytest

from regressions.histories import histories
from regressions.lasting import WEEK, Lasting
from regressions.policy import SeriesRules, read_policy
from regressions.watch import Kind, Move, replay

WINDOWS = (14, 28)
ROWS, NIGHTS, BEFORE, AFTER = 300, 63, 90, 56


@pytest.fixture(scope="module")
def rules() -> SeriesRules:
    return read_policy().series


def steps(rules: SeriesRules, change: float) -> list[Move]:
    """What is told of nights of one trial of CV 4 %, after BEFORE of which all change."""
    noise = np.random.default_rng(11).standard_normal((ROWS, BEFORE + AFTER))
    values = 100 * np.exp(0.04 * noise)
    values[:, BEFORE:] *= 1 + change
    return [m for m in replay(histories(values[:, :, None]), rules) if m.kind is Kind.STEP]


def test_a_change_too_small_for_two_weeks_is_found_when_it_has_lasted(rules: SeriesRules) -> None:
    found = {move.row: move for move in steps(rules, -0.05) if move.night >= BEFORE}
    assert len(found) > 0.9 * ROWS
    near = [abs(move.began - BEFORE) <= 3 for move in found.values()]
    assert np.mean(near) > 0.7
    deaf = rules.lasting.model_copy(update={"alpha": 1e-300})
    short = steps(rules.model_copy(update={"lasting": deaf}), -0.05)
    assert len({move.row for move in short}) < 0.5 * ROWS


def test_what_lasts_and_does_not_matter_is_not_told(rules: SeriesRules) -> None:
    lasting = rules.lasting.model_copy(update={"least_change": 0.2})
    longest = rules.windows[-1]
    told = steps(rules.model_copy(update={"lasting": lasting}), -0.05)
    assert all(move.found.nights <= longest for move in told)
    assert any(move.found.nights > longest for move in steps(rules, -0.05))


def test_a_window_is_set_against_the_week_before_it_began() -> None:
    draw = np.random.default_rng(5)
    values = draw.standard_normal((4, NIGHTS))
    values[draw.random(values.shape) < 0.1] = np.nan
    levels = draw.standard_normal((NIGHTS // WEEK, 4))
    spreads = 1 + draw.random((NIGHTS // WEEK, 4))
    far = 2 + draw.random((NIGHTS // WEEK, len(WINDOWS), 4))
    lasting, rows = Lasting(4, WINDOWS), np.arange(4)
    for night in range(NIGHTS):
        week = night // WEEK
        if night % WEEK == 0:
            lasting.keep(rows, levels[week], spreads[week], far[week])
        lasting.add(values[:, night], levels[week], spreads[week])
    close = lasting.closeness()
    for at, window in enumerate(WINDOWS):
        week = (NIGHTS - 1) // WEEK - window // WEEK
        scores = (values[:, -window:] - levels[week][:, None]) / spreads[week][:, None]
        assert close[at] == pytest.approx(np.abs(np.nansum(scores, axis=1)) / far[week, at])


def test_nothing_is_close_before_a_week_was_kept_or_after_the_level_was_left() -> None:
    lasting = Lasting(2, WINDOWS)
    for night in range(NIGHTS):
        if night % WEEK == 0:
            lasting.keep(np.array([0]), np.zeros(1), np.ones(1), np.ones((2, 1)))
        lasting.add(np.ones(2), np.zeros(2), np.ones(2))
    assert lasting.closeness().tolist() == [[14.0, 0.0], [28.0, 0.0]]
    lasting.forget(0)
    assert not lasting.closeness().any()


def test_one_night_far_out_is_clipped() -> None:
    lasting = Lasting(1, (14,))
    for night in range(28):
        if night % WEEK == 0:
            lasting.keep(np.array([0]), np.zeros(1), np.ones(1), np.ones((1, 1)))
        lasting.add(np.array([1000.0 if night == 20 else 0.0]), np.zeros(1), np.ones(1))
    assert lasting.closeness() == pytest.approx(np.array([[8.0]]))
