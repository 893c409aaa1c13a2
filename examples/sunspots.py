"""Forecast the yearly sunspot number one year ahead with an LSTM.

    python examples/sunspots.py             train on 1700-1920, forecast 1921-2008, write sunspots.png
    python examples/sunspots.py --choose    show how the settings were chosen, on the years to 1920 alone

Each forecast sees the nine years before it, as the autoregression below does, and nothing later. The networks are
trained once, on the years to 1920, and then left alone. Two simple forecasts stand beside them, on the same split:

    persistence   next year is like this year
    AR(9)         next year is a linear function of the last nine, by least squares

The networks see square roots: sunspots are counts, whose spread grows with their size. Eight networks that differ in
their seeds alone are averaged, so that the result does not hang on one of them.

The settings are the row that `--choose` finds best: train on the years to 1800, 1840 and 1880, forecast the 40 years
after each. It drops everything past 1920 first. There the networks beat the autoregression clearly, 11.0 to 14.4; on
1921-2008 they do not, 18.3 to 17.4. That is left as it is: a setting tried until it wins on the test years would prove
nothing. (Those years were looked at twice. Window 11 and 40 epochs, picked by hand from an earlier search of the same
kind, gave 18.0; the search's own choice replaced it by rule, though it scores worse.)
"""

import argparse
import itertools
import time

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from statsmodels.datasets import sunspots

import recurra

LAST_TRAINING_YEAR = 1920
WINDOW = 9  # years seen by each forecast
UNITS = 8
LEARNING_RATE = 0.01
EPOCHS = 80
SEEDS = range(8)
BATCH_SIZE = 32
ORDER = 9  # of the autoregression


def load():
    """Years and yearly mean sunspot numbers, 1700-2008 (SILSO, as shipped with statsmodels)."""
    table = sunspots.load_pandas().data
    return table["YEAR"].to_numpy().astype(int), table["SUNACTIVITY"].to_numpy()


def windows(values, targets, length):
    """Return for each target index the `length` values before it, shape (targets, length)."""
    return np.stack([values[i - length : i] for i in targets])


def lstm_forecasts(spots, train_end, test, *, window=WINDOW, units=UNITS, epochs=EPOCHS, seeds=SEEDS, progress=False):
    """Train one network per seed on spots[:train_end]; return their forecasts of spots[test], shape (seeds, test).

    The scaling is taken from the training years as well. With `progress`, show the first network's epochs and the
    last loss of each.
    """
    roots = np.sqrt(spots)
    mean, deviation = roots[:train_end].mean(), roots[:train_end].std()
    scaled = ((roots - mean) / deviation).astype(np.float32)
    train = np.arange(window, train_end)
    X, y = windows(scaled, train, window)[:, :, None], scaled[train, None]
    forecasts = []
    for number, seed in enumerate(seeds, start=1):
        recurra.set_random_seed(seed)
        model = recurra.Sequential([recurra.LSTM(units), recurra.Dense(1)])
        model.compile(optimizer=recurra.optimizers.Adam(learning_rate=LEARNING_RATE), loss="mse")
        bar = 1 if progress and number == 1 else 0
        history = model.fit(X, y, batch_size=BATCH_SIZE, epochs=epochs, verbose=bar)
        if progress:
            print(f"Network {number} of {len(seeds)}: loss {history.history['loss'][-1]:.4f}", flush=True)
        forecasts.append(model.predict(windows(scaled, test, window)[:, :, None])[:, 0])
    return np.maximum(np.array(forecasts, np.float64) * deviation + mean, 0) ** 2


def autoregression_forecasts(spots, train_end, test, order=ORDER):
    """Least squares on the training years: a constant and the last `order` values."""

    def regressors(targets):
        return np.column_stack([np.ones(len(targets)), windows(spots, targets, order)])

    train = np.arange(order, train_end)
    coefficients, *_ = np.linalg.lstsq(regressors(train), spots[train], rcond=None)
    return regressors(test) @ coefficients


def rmse(forecast, truth):
    """Root of the mean squared error."""
    return float(np.sqrt(np.mean((forecast - truth) ** 2)))


def choose(years, spots):
    """Print the validation error of each setting, over three folds of the training years."""
    known = years <= LAST_TRAINING_YEAR
    years, spots = years[known], spots[known]
    folds = [
        (np.searchsorted(years, end + 1), np.flatnonzero((years > end) & (years <= end + 40)))
        for end in (1800, 1840, 1880)
    ]

    def error(forecast):
        return rmse(
            np.concatenate([forecast(end, test) for end, test in folds]),
            np.concatenate([spots[test] for _, test in folds]),
        )

    print("RMSE over 1801-1920, each 40 years forecast from the years before them")
    print(f"{'persistence':>28} {error(lambda end, test: spots[test - 1]):7.3f}")
    print(f"{'AR(9)':>28} {error(lambda end, test: autoregression_forecasts(spots, end, test)):7.3f}")
    scores = {}
    for window, units, epochs in itertools.product((9, 11, 16), (4, 8, 16), (20, 40, 80)):
        settings = {"window": window, "units": units, "epochs": epochs, "seeds": range(4)}
        score = error(lambda end, test, s=settings: lstm_forecasts(spots, end, test, **s).mean(axis=0))
        scores[f"window {window:2}, {units:2} units, {epochs:2} epochs"] = score
        print(f"{list(scores)[-1]:>28} {score:7.3f}", flush=True)
    print(f"Best: {min(scores, key=scores.get)}")


def plot(path, years, spots, test, members, scores):
    """Draw the whole record above, the forecast years below."""
    ink, sun, line, train_end = "#2b2b33", "#f5a623", "#c2410c", LAST_TRAINING_YEAR + 0.5
    plt.rcParams.update(
        {
            "font.family": "DejaVu Sans",
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.edgecolor": "#9a9aa5",
            "text.color": ink,
            "axes.labelcolor": ink,
            "xtick.color": ink,
            "ytick.color": ink,
        }
    )
    figure, (top, bottom) = plt.subplots(2, 1, figsize=(11, 7), height_ratios=(1, 1.9), layout="constrained")
    mean = members.mean(axis=0)

    top.fill_between(years, spots, color=sun, alpha=0.35, linewidth=0)
    top.plot(years, spots, color=sun, linewidth=1.2)
    top.plot(years[test], mean, color=line, linewidth=1.2)
    top.axvspan(train_end, years[-1] + 1, color="#f1f1f4", zorder=0)
    top.set(xlim=(years[0], years[-1] + 1), ylim=(0, 225), ylabel="sunspots", yticks=(0, 100, 200))
    top.text(train_end - 2, 208, "trained on these years", ha="right", va="center", fontsize=9)
    top.text(train_end + 2, 208, "forecast", ha="left", va="center", fontsize=9)
    top.set_title(
        "Yearly sunspot number, and an LSTM's forecast one year ahead", loc="left", fontsize=14, weight="bold"
    )

    bottom.fill_between(years[test], spots[test], color=sun, alpha=0.25, linewidth=0)
    bottom.plot(years[test], spots[test], "o", color=sun, markersize=4.5, label="observed")
    bottom.fill_between(
        years[test],
        members.min(axis=0),
        members.max(axis=0),
        color=line,
        alpha=0.22,
        linewidth=0,
        label=f"range of the {len(members)} networks",
    )
    bottom.plot(years[test], mean, color=line, linewidth=1.9, label="LSTM, their mean")
    bottom.set(xlim=(years[test][0] - 0.5, years[-1] + 1), ylim=(0, 225), ylabel="sunspots", xlabel="year")
    bottom.grid(axis="y", color="#e6e6ea", linewidth=0.8)
    bottom.set_axisbelow(True)
    bottom.legend(loc="upper left", frameon=False, ncols=3)
    bottom.text(
        0.995,
        0.97,
        "RMSE\n" + "\n".join(f"{name}  {score:.1f}" for name, score in scores.items()),
        transform=bottom.transAxes,
        ha="right",
        va="top",
        fontsize=10,
        linespacing=1.5,
    )
    figure.savefig(path, dpi=150)
    plt.close(figure)


def main():
    """Train, forecast, compare, plot."""
    parser = argparse.ArgumentParser(description="Forecast the yearly sunspot number with an LSTM.")
    parser.add_argument("--choose", action="store_true", help="repeat the choice of settings on the years to 1920")
    parser.add_argument("--output", default="sunspots.png", help="where to write the plot (default: %(default)s)")
    options = parser.parse_args()
    years, spots = load()
    if options.choose:
        choose(years, spots)
        return

    train_end = int(np.searchsorted(years, LAST_TRAINING_YEAR + 1))
    test = np.arange(train_end, len(years))
    print(f"Training {len(SEEDS)} LSTMs of {UNITS} units on {years[0]}-{LAST_TRAINING_YEAR}")
    start = time.perf_counter()
    members = lstm_forecasts(spots, train_end, test, progress=True)
    seconds = time.perf_counter() - start

    scores = {
        "persistence": rmse(spots[test - 1], spots[test]),
        f"AR({ORDER})": rmse(autoregression_forecasts(spots, train_end, test), spots[test]),
        "LSTM": rmse(members.mean(axis=0), spots[test]),
    }
    print(f"\nForecasts one year ahead, {years[test[0]]}-{years[test[-1]]} ({len(test)} years), RMSE in sunspots")
    for name, score in scores.items():
        print(f"  {name:<12} {score:5.1f}")
    print(f"Trained in {seconds:.1f} s")
    plot(options.output, years, spots, test, members, scores)
    print(f"Plot: {options.output}")


if __name__ == "__main__":
    main()
