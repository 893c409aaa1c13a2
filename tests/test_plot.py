"""Pictures: the numbers in them are the numbers given, labels say what they are, nothing global changes."""

import importlib
import inspect
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import recurra
from recurra import plot
from recurra.callbacks import History

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")
from matplotlib.axes import Axes  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402

RNG = np.random.default_rng(8)
N, T, F = 4, 9, 3
X = RNG.standard_normal((N, T, F)).astype(np.float32)
Y = np.ones((N, 1), np.float32)


def model(cls=recurra.LSTM, **options):
    made = recurra.Sequential([cls(5, seed=1, **options), recurra.Dense(1, seed=2)])
    made.compile("adam", "mse")
    made.build((None, None, F))
    return made


def axes():
    return Figure().add_subplot()


def history():
    record = History()
    for epoch in range(3):
        record.on_epoch_end(epoch, {"loss": 3.0 - epoch, "mae": 0.5, "val_loss": 4.0 - epoch, "val_mae": 0.25})
    return record


DRAWINGS = {
    "attention": lambda ax=None: plot.attention(np.eye(3), "abc", "xyz", ax=ax),
    "confusion": lambda ax=None: plot.confusion([0, 1, 1], [0, 1, 0], ax=ax),
    "forecast": lambda ax=None: plot.forecast([1, 2, 3], [4, 5], [4, 6], ([3, 4], [5, 7]), ax=ax),
    "gates": lambda ax=None: plot.gates(model(), X, names=["f"], ax=ax),
    "gradient_flow": lambda ax=None: plot.gradient_flow(model(), X, Y, ax=ax),
    "history": lambda ax=None: plot.history(history(), ["loss"], ax=ax),
}
NO_DRAWINGS = {"gradient_norms", "plot_model"}


def test_every_picture_is_in_the_list_of_these_tests():
    assert set(plot.__all__) == DRAWINGS.keys() | NO_DRAWINGS
    for name in plot.__all__:
        assert inspect.getdoc(getattr(plot, name))


@pytest.mark.parametrize("name", DRAWINGS)
def test_a_picture_is_drawn_on_a_figure_of_its_own_or_the_axes_given_and_touches_nothing_global(name, tmp_path):
    pyplot = importlib.import_module("matplotlib.pyplot")
    settings, open_figures = dict(matplotlib.rcParams), pyplot.get_fignums()
    drawn = DRAWINGS[name]()
    assert isinstance(drawn, Figure if name in ("gates", "history") else Axes)
    given = axes()
    again = DRAWINGS[name](given)
    assert again is given or again is given.figure
    assert given.has_data()
    figure = drawn if isinstance(drawn, Figure) else drawn.figure
    figure.savefig(tmp_path / "picture.png", dpi=40)
    assert (tmp_path / "picture.png").stat().st_size > 2000
    assert dict(matplotlib.rcParams) == settings
    assert pyplot.get_fignums() == open_figures
    with pytest.raises(TypeError, match=r"^ax: expected a matplotlib Axes or None, got int"):
        DRAWINGS[name](3)


def test_gradient_flow_draws_the_norms_of_every_model_on_a_logarithmic_axis():
    models = {"plain": model(recurra.RNN), "gated": model(bidirectional=True)}
    ax = plot.gradient_flow(models, X, Y)
    lines = {line.get_label(): line.get_ydata() for line in ax.lines}
    assert list(lines) == ["plain", "gated: lstm l0", "gated: lstm l0_reverse"]
    np.testing.assert_array_equal(lines["plain"], plot.gradient_norms(models["plain"], X, Y)["rnn"])
    expected = plot.gradient_norms(models["gated"], X, Y)
    np.testing.assert_array_equal(lines["gated: lstm l0_reverse"], expected["lstm l0_reverse"])
    assert ax.get_yscale() == "log"
    assert ax.get_xlabel() == "time step $t$"
    assert len({line.get_color() for line in ax.lines}) == 3
    assert [text.get_text() for text in ax.get_legend().get_texts()] == list(lines)


def test_gradient_flow_takes_a_list_with_labels():
    ax = plot.gradient_flow([model(), model(recurra.GRU)], X, Y, labels=["one", "two"], title=None)
    assert [line.get_label() for line in ax.lines] == ["one", "two"]
    assert not ax.get_title(loc="left")
    with pytest.raises(ValueError, match=r"^labels: expected 1 labels, one for each model, got 2"):
        plot.gradient_flow(model(), X, Y, labels=["one", "two"])
    with pytest.raises(TypeError, match=r"^model: expected a model, or a list or dictionary of models, got"):
        plot.gradient_flow([3], X, Y)
    with pytest.raises(ValueError, match=r"^model: expected at least one model, got none"):
        plot.gradient_flow({}, X, Y)


def images(figure):
    return {ax.get_title(loc="right")[-2]: ax.images[0] for ax in figure.axes if ax.images}


def test_gates_shows_what_the_trace_holds_units_downward():
    made = model()
    figure = plot.gates(made, X, sample=2, tokens="recurrent")
    trace, shown = made.trace(X)["lstm"], images(figure)
    assert list(shown) == ["i", "f", "g", "o", "c", "h"]
    for name, values in {**trace.gates, "c": trace.c, "h": trace.h}.items():
        np.testing.assert_array_equal(shown[name].get_array(), values[2].T)
    assert shown["f"].get_clim() == (0.0, 1.0)
    low, high = shown["c"].get_clim()
    assert -low == high == pytest.approx(np.abs(trace.c[2]).max())
    panels = [ax for ax in figure.axes if ax.images]
    assert [label.get_text() for label in panels[-1].get_xticklabels()] == list("recurrent")
    assert panels[0].get_title(loc="left") == "lstm"


def test_gates_takes_layers_directions_lengths_and_names():
    layer = recurra.GRU(4, bidirectional=True, name="reader")
    figure = plot.gates(layer, X, sample=1, direction="l0_reverse", names=["z", "h"], lengths=[9, 6, 2, 9])
    shown, trace = images(figure), layer.trace(X, lengths=[9, 6, 2, 9])
    assert list(shown) == ["z", "h"]
    np.testing.assert_array_equal(shown["z"].get_array(), trace["l0_reverse"].gates["z"][1, :6].T)
    panels = [axes(), axes()]
    assert plot.gates(layer, X, names=["r", "n"], ax=panels) is panels[0].figure
    assert all(len(panel.images) == 1 for panel in panels)


MISTAKES = [
    (lambda: plot.gates(model(), X, layer="gru"), ValueError, r"^layer: expected one of 'lstm', got 'gru'"),
    (lambda: plot.gates(model(), X, names=["r"]), ValueError, r"^names: expected one of 'i', 'f', 'g', 'o', 'c', 'h'"),
    (
        lambda: plot.gates(model(), X, names=[]),
        ValueError,
        r"^names: expected at least one of i, f, g, o, c, h",
    ),
    (lambda: plot.gates(model(), X, sample=4), ValueError, r"^sample: expected an integer from 0 to 3, got 4"),
    (lambda: plot.gates(model(), X, direction="l1"), ValueError, r"^direction: expected one of 'l0', got 'l1'"),
    (lambda: plot.gates(model(), X, tokens="abc"), ValueError, r"^tokens: expected 9 labels, one for each time step"),
    (lambda: plot.gates(model(), X, ax=[axes()]), ValueError, r"^ax: expected 6 Axes, one for each panel, got 1"),
    (lambda: plot.gates(recurra.Dense(3), X), TypeError, r"^model_or_layer: expected a model or a recurrent layer"),
    (
        lambda: plot.attention(np.ones((2, 3, 4))),
        ValueError,
        r"^weights: expected shape \(target steps, sour",
    ),
    (lambda: plot.attention(np.eye(3), "ab"), ValueError, r"^source_tokens: expected 3 labels, one for each source"),
    (lambda: plot.attention(np.eye(3), None, "ab"), ValueError, r"^target_tokens: expected 3 labels"),
    (lambda: plot.confusion([0, 1], [0, 1, 1]), ValueError, r"^y_pred: expected classes of shape \(2,\), as y_true"),
    (lambda: plot.confusion([0, 2], [0, 1], "ab"), ValueError, r"^labels: expected at least 3 names, got 2; class 2"),
    (lambda: plot.confusion([0.5], [1]), ValueError, r"^y_true: expected class numbers 0, 1, \.\.\., got others"),
    (lambda: plot.confusion(["a"], ["b"]), TypeError, r"^y_true: expected class numbers or scores"),
    (
        lambda: plot.confusion([0], [0], normalize="row"),
        ValueError,
        r"^normalize: expected one of 'true', 'pred'",
    ),
    (lambda: plot.forecast([1], [1, 2], [1]), ValueError, r"^truth: expected 1 steps, as in prediction, got 2"),
    (lambda: plot.forecast([1], None, [1, 2], ([0], [3])), ValueError, r"^interval\[0\]: expected 2 steps"),
    (
        lambda: plot.forecast([1], None, [1], ([3], [0])),
        ValueError,
        r"^interval: expected low <= high, got 3 > 0",
    ),
    (lambda: plot.forecast([1], None, [1], time=[1]), ValueError, r"^time: expected shape \(2,\), history and horizon"),
    (
        lambda: plot.forecast(np.ones((2, 2)), None, [1]),
        ValueError,
        r"^history: expected shape \(time,\), got",
    ),
    (lambda: plot.history(history(), ["acc"]), ValueError, r"^metrics: expected one of 'loss', 'mae', got 'acc'"),
    (lambda: plot.history([1.0]), TypeError, r"^history: expected a History, or its dictionary, got \[1\.0\]"),
    (lambda: plot.history(history(), ax=axes()), ValueError, r"^ax: expected 2 Axes, one for each panel, got 1"),
]


@pytest.mark.parametrize(("call", "kind", "message"), MISTAKES, ids=[message[1:40] for *_, message in MISTAKES])
def test_a_mistake_is_explained(call, kind, message):
    with pytest.raises(kind, match=message):
        call()


def test_a_forecast_joins_what_was_known_and_shades_its_interval():
    ax = plot.forecast([1, 2, 3], [4, 5], [4, 6], np.array([[3, 5], [4, 7]]), interval_label="90 %", ylabel="load / MW")
    lines = {line.get_label(): (list(line.get_xdata()), list(line.get_ydata())) for line in ax.lines[:3]}
    assert lines == {
        "known": ([-2, -1, 0], [1, 2, 3]),
        "truth": ([0, 1, 2], [3, 4, 5]),
        "forecast": ([0, 1, 2], [3, 4, 6]),
    }
    (area,) = ax.collections
    assert area.get_label() == "90 %"
    corners = {tuple(point) for point in area.get_paths()[0].vertices}
    assert {(1.0, 3.0), (1.0, 5.0), (2.0, 4.0), (2.0, 7.0)} == corners
    assert ax.get_ylabel() == "load / MW"
    years = plot.forecast([1, 2], None, [3], time=[1990, 1991, 1992])
    assert [list(line.get_xdata()) for line in years.lines[:2]] == [[1990, 1991], [1991, 1992]]


def test_a_legend_lies_outside_the_data():
    """Its box and the axes' do not meet, for few labels and for many."""
    for ax in (DRAWINGS["forecast"](), plot.gradient_flow([model() for _ in range(7)], X, Y)):
        ax.figure.canvas.draw()
        legend, inner = ax.get_legend().get_window_extent(), ax.get_window_extent()
        assert legend.y0 >= inner.y1 - 1 or legend.x0 >= inner.x1 - 1


def test_attention_shows_source_steps_to_the_right():
    weights = RNG.dirichlet(np.ones(4), 2)
    ax = plot.attention(weights, ["ein", "gutes", "Buch", "."], ["a", "book"])
    np.testing.assert_array_equal(ax.images[0].get_array(), weights)
    assert [label.get_text() for label in ax.get_xticklabels()] == ["ein", "gutes", "Buch", "."]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "book"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("source", "target")


def test_confusion_counts_true_classes_in_rows():
    ax = plot.confusion([0, 0, 0, 1, 2], [0, 1, 1, 1, 0], ["x", "y", "z"])
    np.testing.assert_array_equal(ax.images[0].get_array(), [[1, 2, 0], [0, 1, 0], [1, 0, 0]])
    assert [text.get_text() for text in ax.texts] == ["1", "2", "0", "0", "1", "0", "1", "0", "0"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["x", "y", "z"]


@pytest.mark.parametrize(
    ("normalize", "expected"),
    [
        ("true", [[1 / 3, 2 / 3, 0], [0, 1, 0], [1, 0, 0]]),
        ("pred", [[1 / 2, 2 / 3, 0], [0, 1 / 3, 0], [1 / 2, 0, 0]]),
        ("all", [[0.2, 0.4, 0], [0, 0.2, 0], [0.2, 0, 0]]),
    ],
)
def test_confusion_divides_as_scikit_learn_does_and_takes_scores(normalize, expected):
    scores = np.eye(3)[[0, 1, 1, 1, 0]] * 0.8 + 0.1
    for true in ([0, 0, 0, 1, 2], np.eye(3)[[0, 0, 0, 1, 2]], np.eye(3, dtype=int)[[0, 0, 0, 1, 2]]):
        shown = plot.confusion(true, scores, normalize=normalize).images[0].get_array()
        np.testing.assert_allclose(shown, expected, rtol=1e-12)


def test_a_history_draws_training_and_validation_by_epoch():
    figure = history().plot()
    loss, mae = figure.axes
    assert [line.get_label() for line in loss.lines] == ["training", "validation"]
    assert [list(line.get_ydata()) for line in loss.lines] == [[3.0, 2.0, 1.0], [4.0, 3.0, 2.0]]
    assert list(loss.lines[0].get_xdata()) == [1, 2, 3]
    assert (loss.get_ylabel(), mae.get_ylabel(), mae.get_xlabel()) == ("loss", "mae", "epoch")
    assert [line.get_linestyle() for line in mae.lines] == ["-", "--"]
    (only,) = plot.history({"loss": [1.0, 0.5]}).axes
    assert list(only.lines[0].get_xdata()) == [1, 2]


def test_a_diagram_becomes_a_picture(tmp_path):
    plot.plot_model(model(), tmp_path / "model.png", show_shapes=True, dpi=50)
    assert (tmp_path / "model.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_the_pictures_of_the_page_are_those_that_the_tool_draws(tmp_path):
    root = Path(__file__).resolve().parents[1]
    tool = root / "tools" / "pictures.py"
    subprocess.run([sys.executable, str(tool), str(tmp_path)], check=True, timeout=300)
    drawn = {path.name for path in tmp_path.iterdir()}
    assert drawn == {path.name for path in (root / "docs" / "pictures").iterdir()}
    page = (root / "docs" / "seeing.md").read_text()
    assert all(f"(pictures/{name})" in page for name in drawn)
    assert (tmp_path / "model.svg").read_bytes() == (root / "docs" / "pictures" / "model.svg").read_bytes()


PAGE = (Path(__file__).parents[1] / "docs" / "seeing.md").read_text()


def test_the_blocks_of_the_page_that_draw_run(tmp_path, monkeypatch):
    """What a block reads and no block before it makes is given here."""
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```(python|py)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    tagger = recurra.Sequential([recurra.LSTM(5), recurra.Dense(3, activation="softmax")])
    tagger.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    labels = np.arange(N) % 3
    flow = {"plain": model(recurra.RNN), "gated": model(), "open_gates": model(), "x": X, "y": Y}
    last = {"model": tagger, "x": X, "y": labels, "x2": X, "y2": labels, "y_true": labels}
    last |= {"known": np.arange(9.0), "weights": np.ones((1, 3, 4)), "source_tokens": "four", "target_tokens": "two"}
    last |= {name: np.arange(5.0) + place for place, name in enumerate(("low", "prediction", "truth", "high"))}
    given = [{}, flow, last]
    names = {}
    for kind, text in blocks:
        exec(text, {**names, **given.pop(0)} if kind == "py" else names)
    assert not given
    assert {path.name for path in tmp_path.iterdir()} == {"gates.png", "gradient_flow.png", "model.svg"}
