"""The forecaster: windows, recursion, exogenous variables, lists of series."""

import pickle
import re

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.base import clone
from sklearn.metrics import r2_score
from sklearn.model_selection import TimeSeriesSplit, cross_val_score

from recurra.sklearn import RNNForecaster

WAVE = 50.0 + 3.0 * np.sin(np.arange(260) / 4.0)
PAIR = np.stack([WAVE, 1000.0 * np.cos(np.arange(260) / 4.0)], axis=1)
QUICK = {"learning_rate_init": 0.02, "random_state": 0, "tol": 1e-3}
SHORT = {"n_iter_no_change": np.inf, "max_iter": 2, "random_state": 0, "window_length": 5}
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def test_a_wave_is_forecast_recursively():
    forecaster = RNNForecaster(window_length=12, **QUICK).fit(WAVE[:200])
    assert np.abs(forecaster.predict(20) - WAVE[200:220]).max() <= 0.5  # of an amplitude of 3
    assert forecaster.score(WAVE[188:]) >= 0.99


def test_a_forecast_is_the_networks_output_for_the_standardised_window():
    """Relative tolerance 1e-6: the network is float32."""
    forecaster = RNNForecaster(**SHORT).fit(PAIR)
    np.testing.assert_allclose(forecaster.mean_, PAIR.mean(axis=0))
    np.testing.assert_allclose(forecaster.scale_, PAIR.std(axis=0))
    window = ((PAIR[-5:] - PAIR.mean(axis=0)) / PAIR.std(axis=0)).astype(np.float32)
    expected = forecaster.model_.predict(window[None])[0] * PAIR.std(axis=0) + PAIR.mean(axis=0)
    np.testing.assert_allclose(forecaster.predict()[0], expected, rtol=1e-6)


def test_a_long_forecast_is_short_ones_in_a_row():
    """Relative tolerance 1e-6: between two calls a forecast is rescaled."""
    forecaster = RNNForecaster(**SHORT).fit(PAIR)
    history, expected = PAIR[:30], []
    for _ in range(7):
        expected.append(forecaster.predict(1, X=history)[0])
        history = np.concatenate([history, expected[-1:]])
    np.testing.assert_allclose(forecaster.predict(7, X=PAIR[:30]), expected, rtol=1e-6)


def test_the_next_step_is_what_the_network_learns():
    """A series of period 3 is forecast only if targets are one step after their window."""
    series = np.tile([1.0, 5.0, 3.0], 40)
    forecaster = RNNForecaster(window_length=3, **QUICK).fit(series)
    np.testing.assert_allclose(forecaster.predict(6), [1.0, 5.0, 3.0, 1.0, 5.0, 3.0], atol=0.3)


def test_forecasts_have_the_form_of_the_series():
    flat = RNNForecaster(**SHORT).fit(WAVE)
    assert flat.predict(4).shape == (4,)
    assert flat.predict(4, X=WAVE[:20, None]).shape == (4, 1)
    several = RNNForecaster(**SHORT).fit([PAIR[:100], PAIR[100:260]])
    assert several.n_features_in_ == 2
    assert several.predict(4).shape == (2, 4, 2)
    assert several.predict(4, X=PAIR[:20]).shape == (4, 2)
    np.testing.assert_array_equal(several.predict(4)[0], several.predict(4, X=PAIR[:100]))
    assert flat.predict(3, X=[WAVE[:9], WAVE[:30]]).shape == (2, 3)


def test_a_variable_that_never_changes_is_no_trouble():
    forecaster = RNNForecaster(**SHORT).fit(np.stack([WAVE, np.full(260, 7.0)], axis=1), exog=np.ones(260))
    assert np.isfinite(forecaster.predict(3, exog=np.ones(3))).all()


def test_windows_do_not_cross_from_series_to_series():
    forecaster = RNNForecaster(**SHORT)
    forecaster.fit([WAVE[:20], WAVE[:30]])
    windows, targets = forecaster._windows([WAVE[:20, None], WAVE[:30, None]], [np.empty((20, 0)), np.empty((30, 0))])
    assert [len(part) for part in windows] == [15, 25]
    assert [len(part) for part in targets] == [15, 25]


def test_the_score_is_of_forecasts_one_step_ahead():
    """Absolute tolerance 1e-6: R^2 has no scale."""
    forecaster = RNNForecaster(**SHORT).fit(WAVE)
    ahead = [forecaster.predict(1, X=WAVE[at - 5 : at])[0] for at in range(5, 40)]
    assert forecaster.score(WAVE[:40]) == pytest.approx(r2_score(WAVE[5:40], ahead), abs=1e-6)


def test_exogenous_variables_are_seen_at_the_step_they_forecast():
    """Noise that nothing but the exogenous variable tells."""
    known = np.random.default_rng(0).normal(size=300)
    series = 10.0 + 2.0 * known
    forecaster = RNNForecaster(window_length=2, **QUICK).fit(series[:250], exog=known[:250])
    assert forecaster.score(series[250:], exog=known[250:]) >= 0.95
    ahead = forecaster.predict(20, exog=known[250:270])
    assert r2_score(series[250:270], ahead) >= 0.9
    again = forecaster.predict(20, X=series[200:250], exog=known[200:270])
    np.testing.assert_array_equal(ahead, again)


def test_early_stopping_scores_the_last_windows_of_each_series():
    forecaster = RNNForecaster(window_length=5, early_stopping=True, validation_fraction=0.2, **QUICK)
    forecaster.fit([WAVE[:105], WAVE[:55]])
    rows, held = forecaster._split(np.empty((150, 1)))
    assert list(held) == [*range(80, 100), *range(140, 150)]
    assert list(rows) == [*range(80), *range(100, 140)]
    assert forecaster.best_validation_score_ == max(forecaster.validation_scores_)


def test_a_forecaster_repeats_is_copied_and_cross_validated():
    forecaster = RNNForecaster(dropout=0.1, **SHORT).fit(WAVE)
    expected = forecaster.predict(5)
    np.testing.assert_array_equal(clone(forecaster).fit(WAVE).predict(5), expected)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(forecaster)).predict(5), expected)
    scores = cross_val_score(RNNForecaster(**QUICK), WAVE, cv=TimeSeriesSplit(3))
    assert scores[-1] >= 0.9
    warm = RNNForecaster(warm_start=True, **SHORT).fit(WAVE)
    assert len(warm.fit(WAVE).loss_curve_) == 4


@pytest.mark.parametrize(
    ("X", "exog", "text"),
    [
        (WAVE[:5], None, "X: expected at least 6 steps, got 5; window_length is 5"),
        ([WAVE[:20], PAIR[:20]], None, "X: expected series of the same variables, got shapes (20, 2) and (20,)"),
        (PAIR[None], None, "X: expected a series (time,) or (time, variables), got shape (1, 260, 2)"),
        (WAVE[:20], WAVE[:19], "exog: expected shape (20, variables), got (19, 1)"),
        ([WAVE[:20]], [WAVE[:20], WAVE[:20]], "exog: expected an array for each series, 1, got 2"),
        ([WAVE[:20], np.full(20, np.inf)], None, "Input X contains infinity"),
    ],
)
def test_series_that_cannot_be_learned_are_named(X, exog, text):
    with pytest.raises(ValueError, match="^" + re.escape(text)):
        RNNForecaster(**SHORT).fit(X, exog=exog)


def test_series_that_do_not_suit_the_fit_are_named():
    forecaster = RNNForecaster(**SHORT).fit(WAVE)
    for arguments, text in (
        ({"X": WAVE[:4]}, "X: expected at least 5 steps, got 4"),
        ({"X": PAIR}, "X: expected shape (time, 1), got (260, 2)"),
        ({"horizon": 0}, "horizon: expected an integer from 1"),
        ({"exog": [1.0]}, "exog: expected 0 exogenous variables, as fitted, got 1"),
    ):
        with pytest.raises(ValueError, match="^" + re.escape(text)):
            forecaster.predict(**arguments)
    with pytest.raises(ValueError, match=r"^window_length: expected an integer from 1"):
        RNNForecaster(window_length=0).fit(WAVE)
    known = RNNForecaster(**SHORT).fit(WAVE, exog=WAVE)
    with pytest.raises(ValueError, match=r"^exog: expected 1 exogenous variables, as fitted, got 0"):
        known.predict(2)
