"""Norms of the gradients of hidden states over time, and what `recurra.plot` needs no matplotlib for."""

import subprocess
import sys
import xml.etree.ElementTree as ET

import numpy as np
import pytest

import recurra
from recurra import plot
from recurra.layers import Layer
from recurra.plot.layout import BOX_GAP, place
from recurra.plot.model import RANKDIRS

RNG = np.random.default_rng(4)
N, T, F = 6, 12, 3
X, Y = RNG.standard_normal((N, T, F)), RNG.standard_normal((N, 1))


def compiled(*layers):
    model = recurra.Sequential(list(layers))
    model.compile("adam", "mse")
    return model


def chain(**options):
    return compiled(
        recurra.RNN(5, dtype="float64", seed=1, name="plain", **options), recurra.Dense(1, dtype="float64", seed=2)
    )


def test_a_norm_is_that_of_a_product_of_jacobians():
    """dL/dh_t = dL/dh_T, times the Jacobians in between, written out in NumPy: to 1e-12 of the largest, float64."""
    model = chain()
    norms = plot.gradient_norms(model, X, Y)
    assert list(norms) == ["plain"]
    weights = model.parameters
    h = model.trace(X)["plain"].h
    outputs = h[:, -1] @ weights["dense.weight"].T + weights["dense.bias"]
    dh = 2 * (outputs - Y) / N @ weights["dense.weight"]
    expected = np.zeros(T)
    for step in reversed(range(T)):
        expected[step] = np.linalg.norm(dh, axis=1).mean()
        dh = (dh * (1 - h[:, step] ** 2)) @ weights["plain.weight_hh_l0"]
    np.testing.assert_allclose(norms["plain"], expected, rtol=0, atol=1e-12 * expected.max())


def test_samples_count_as_far_as_they_reach():
    """The mean at step t is over the samples that are longer; NaN where none is."""
    model = chain()
    lengths = np.array([3, 9, 9, 1, 3, 9])
    norms = plot.gradient_norms(model, X, Y, lengths)["plain"]
    assert np.isfinite(norms[:9]).all()
    assert np.isnan(norms[9:]).all()
    alone = [plot.gradient_norms(model, X[n : n + 1, :9], Y[n : n + 1])["plain"] for n in np.flatnonzero(lengths == 9)]
    np.testing.assert_allclose(norms[5], np.mean(alone, axis=0)[5] / N, rtol=1e-9)


def test_a_gradient_that_underflows_counts_as_zero():
    model = compiled(recurra.RNN(4, seed=1), recurra.Dense(1, seed=2))
    model.build((None, None, F))
    model.parameters["rnn.weight_hh_l0"][...] *= 1e-4
    norms = plot.gradient_norms(model, np.ones((2, 40, F)), np.ones((2, 1)))["rnn"]
    assert norms[0] == 0.0
    assert norms[-1] > 0


def test_looking_changes_nothing():
    model = chain(dropout=0.3)
    model.build((None, None, F))
    model.flat_gradients[...] = 7.0
    before = model.flat_parameters.copy()
    first = plot.gradient_norms(model, X, Y)["plain"]
    np.testing.assert_array_equal(plot.gradient_norms(model, X, Y)["plain"], first)  # and draws no masks
    np.testing.assert_array_equal(model.flat_gradients, 7.0)
    np.testing.assert_array_equal(model.flat_parameters, before)


def test_every_layer_and_direction_of_a_graph_has_a_name():
    """Shared layers once for each call, in the order in which they compute."""
    source = recurra.Input((None, F))
    shared = recurra.GRU(F, return_sequences=True, name="shared")
    deep = recurra.LSTM(2, bidirectional=True, num_layers=2, name="deep")
    model = recurra.Model(source, recurra.Dense(1)(deep(shared(shared(source)))))
    model.compile("adam", "mse")
    norms = plot.gradient_norms(model, X, Y)
    assert list(norms) == ["shared", "shared_1", "deep l0", "deep l0_reverse", "deep l1", "deep l1_reverse"]
    assert all(values.shape == (T,) for values in norms.values())
    assert not np.allclose(norms["shared"], norms["shared_1"])


def test_a_wrong_model_is_explained():
    with pytest.raises(ValueError, match=r"^model: expected a compiled model"):
        plot.gradient_norms(recurra.Sequential([recurra.RNN(3)]), X, Y)
    with pytest.raises(ValueError, match=r"^model: expected a model with a recurrent layer that the loss depends on"):
        plot.gradient_norms(compiled(recurra.Dense(1)), X, np.ones((N, T, 1)))


def test_matplotlib_is_loaded_by_drawing_alone_and_asked_for_in_words():
    code = """
import sys, numpy as np
sys.modules["matplotlib"] = None  # as if it were not installed
import recurra
recurra.plot.plot_model(recurra.Sequential([recurra.LSTM(3)]), None)
for draw in (lambda: recurra.plot.attention(np.ones((2, 2))), lambda: recurra.callbacks.History().plot()):
    try:
        draw()
    except (ImportError, ValueError) as error:
        print(type(error).__name__, error)
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines() == [
        "ImportError plot: expected matplotlib, got no such package; pip install 'recurra[plot]'",
        "ValueError history: expected at least one complete epoch, got none",
    ]


# Diagrams


class Sum(Layer):
    merges = True

    def __call__(self, xs):
        return sum(xs)

    def compute_output_shape(self, shapes):
        return shapes[0]


def skipping():
    signal = recurra.Input((None, 4), name="signal")
    lower = recurra.LSTM(4, return_sequences=True, name="lower")(signal)
    upper = recurra.LSTM(4, return_sequences=True, name="upper")(lower)
    both = Sum(name="skip")([signal, lower, upper])
    return recurra.Model(signal, [recurra.Dense(2, name="a<b")(recurra.GRU(5, name="head")(both)), both])


def translating():
    source, target = recurra.Input((None, 4), name="source"), recurra.Input((None, 3), name="target")
    _, h, c = recurra.LSTM(8, return_state=True, name="encoder")(source)
    decoded = recurra.LSTM(8, return_sequences=True, name="decoder")(target, initial_state=[h, c])
    return recurra.Model([source, target], recurra.Dense(3, name="words")(decoded), name="translator")


def stacked():
    model = recurra.Sequential([recurra.GRU(4, return_sequences=True, name="low"), recurra.LSTM(3), recurra.Dense(2)])
    model.build((None, None, 5))
    return model


MODELS = {"chain": stacked, "skip": skipping, "states": translating}


def texts(svg):
    return [element.text for element in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


@pytest.mark.parametrize("rankdir", RANKDIRS)
@pytest.mark.parametrize("name", MODELS)
def test_a_diagram_is_xml_with_every_layer_within_its_bounds_and_apart(name, rankdir, tmp_path):
    model = MODELS[name]()
    path = tmp_path / "model.svg"
    diagram = plot.plot_model(model, path, show_shapes=True, show_layer_names=True, rankdir=rankdir)
    assert path.read_text(encoding="utf-8") == diagram.svg() == diagram._repr_svg_()
    shown = texts(diagram.svg())
    for layer in model.layers:
        assert layer.name in shown
        assert type(layer).__name__ in shown
    (width, height), centres, routes = diagram.geometry()
    frames = [
        (x - w / 2, y - h / 2, x + w / 2, y + h / 2)
        for (x, y), (w, h) in zip(centres, [box.size() for box in diagram.boxes], strict=True)
    ]
    for number, (left, top, right, bottom) in enumerate(frames):
        assert 0 < left < right < width
        assert 0 < top < bottom < height
        for other in frames[:number]:
            assert right < other[0] or other[2] < left or bottom < other[1] or other[3] < top
    axis, sign = (1, 1) if rankdir in ("TB", "BT") else (0, 1)
    sign = 1 if rankdir in ("TB", "LR") else -1
    for (source, target, _), route in zip(diagram.edges, routes, strict=True):
        assert sign * (centres[target][axis] - centres[source][axis]) > 0
        for x, y in route[1:-1]:  # goes round the boxes
            assert not any(left < x < right and top < y < bottom for left, top, right, bottom in frames)


def test_a_diagram_shows_shapes_types_and_states():
    diagram = plot.plot_model(translating(), None, show_shapes=True, show_dtype=True, show_layer_names=True)
    shown = texts(diagram.svg())
    assert shown.count("float32") == 5
    assert "(None, None, 4) → (None, 8), 2 x (None, 8)" not in shown  # three outputs of one shape
    assert "(None, None, 4) → 3 x (None, 8)" in shown
    assert "(None, None, 3) → (None, None, 8)" in shown
    titles = [box.lines[0] for box in diagram.boxes]
    edges = {(titles[source], titles[target], kind) for source, target, kind in diagram.edges}
    assert edges == {
        ("source", "encoder", "data"),
        ("encoder", "decoder", "state"),
        ("target", "decoder", "data"),
        ("decoder", "words", "data"),
    }
    assert diagram.svg().count("stroke-dasharray") == 1
    assert 'aria-label="translator"' in diagram.svg()


def test_a_diagram_without_options_is_keras_s_boxes_of_classes():
    """An unbuilt chain has no input box."""
    model = recurra.Sequential([recurra.LSTM(4), recurra.Dense(2)])
    assert texts(plot.plot_model(model, None).svg()) == ["LSTM", "Dense"]
    model.layers[0].trainable = False
    assert texts(plot.plot_model(model, None, show_trainable=True).svg()) == ["LSTM", "frozen", "Dense"]


def test_long_edges_are_straight_and_do_not_cross_without_need():
    """A chain of five with an edge from first to last: the chain in line, the edge beside it."""
    placed = place([(80.0, 30.0)] * 5, [(0, 1), (1, 2), (2, 3), (3, 4), (0, 4)])
    across = [x for x, _ in placed.centres]
    assert max(across[1:4]) - min(across[1:4]) < 1e-6
    long = placed.routes[-1]
    inner = {round(x, 6) for x, _ in long[1:-1]}
    assert len(inner) == 1
    assert abs(inner.pop() - across[2]) >= 40 + BOX_GAP - 1e-6


def test_a_wrong_request_for_a_diagram_is_explained(tmp_path):
    model = recurra.Sequential([recurra.LSTM(4)])
    with pytest.raises(ValueError, match=r"^to_file: expected a name ending in \.svg or \.png, got 'model\.pdf'"):
        plot.plot_model(model, "model.pdf")
    with pytest.raises(ValueError, match=r"^rankdir: expected one of 'TB', 'BT', 'LR', 'RL', got 'UP'"):
        plot.plot_model(model, None, rankdir="UP")
    with pytest.raises(ValueError, match=r"^model: expected a built model for show_shapes=True"):
        plot.plot_model(model, None, show_shapes=True)
    with pytest.raises(TypeError, match=r"^model: expected a Sequential or a Model\(inputs, outputs\), got"):
        plot.plot_model(recurra.LSTM(4), None)
    with pytest.raises(ValueError, match=r"^model: expected at least one layer, got none"):
        plot.plot_model(recurra.Sequential(), None)


def test_an_input_that_is_read_late_lies_just_before_its_reader():
    """Ranks downward: the target of a translator below its source, beside the encoder."""
    diagram = plot.plot_model(translating(), None)
    _, centres, _ = diagram.geometry()
    source, target, encoder, decoder = (y for _, y in centres[:4])
    assert source < encoder < decoder
    assert target == pytest.approx(encoder)
