"""What a tape holds: states and gates of every step, and the gradient of every hidden state, against the reference."""

import numpy as np
import pytest

from cases import CALLS, STRUCTURES, error, problem
from recurra import _core, reference
from recurra.reference import layer as reference_layer
from recurra.reference.stack import reverse

TOLERANCE = 1e-11  # float64, relative to the largest element
GATES = {"rnn": "", "lstm": "ifgo", "gru": "rzn"}


def arguments(given):
    return given.weights, given.x, given.h0, given.c0, given.lengths


def empty(plan, options, given):
    """Zeros for h, c and the gates of every layer and direction."""
    count = options.num_layers * options.directions
    rows, steps, _ = given.x.shape
    h = np.zeros((count, rows, steps, plan.state_size), given.x.dtype)
    c = np.zeros((count, rows, steps, options.hidden_size), given.x.dtype) if options.cell == "lstm" else None
    gates = np.zeros((count, rows, steps, len(GATES[options.cell]), options.hidden_size), given.x.dtype)
    return h, c, gates


def expected_trace(oracle, given):
    """The same from what the reference saved, at the time of each output, zero behind a sample's end."""
    *_, cn, tape = oracle.vjp(*arguments(given), **given.call)
    options, saved, steps = oracle.options, tape._saved, given.x.shape[1]
    alive = np.ones((steps, len(given.x), 1), bool)
    if given.lengths is not None:
        alive = np.arange(steps)[:, None, None] < given.lengths[:, None]
    h, c, gates = empty(oracle, options, given)
    for index, direction in enumerate(saved.directions):

        def own_time(series, backward=index % options.directions == 1):
            series = np.where(alive, series, 0)
            return (reverse(series, saved.order) if backward else series).transpose(1, 0, 2)

        h[index] = saved.outputs[index].transpose(1, 0, 2)
        if c is not None:
            c[index] = own_time(np.stack([*[step.c for step in direction.steps[1:]], cn[index]]))
        for number, name in enumerate(GATES[options.cell]):
            gates[index, :, :, number] = own_time(np.stack([getattr(step, name) for step in direction.steps]))
    return h, c, gates


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", STRUCTURES)
def test_a_tape_gives_the_states_and_gates_of_every_step(name, training):
    """Relative error at most 1e-11 in float64, with states and lengths; padded steps are 0."""
    for call in ("bare", "lengths_states"):
        given = problem(STRUCTURES[name], (3, 5, 4, 9), training=training, **CALLS[call])
        oracle = reference.Recurrent(**given.options)
        engine = _core.Recurrent(**given.options, dtype="float64")
        *_, tape = engine.vjp(*arguments(given), **given.call)
        expected = expected_trace(oracle, given)
        h, c, gates = empty(engine, oracle.options, given)
        tape.trace(h, c, gates)
        for actual, wanted in zip((h, c, gates), expected, strict=True):
            if wanted is not None:
                assert error(actual, wanted) <= TOLERANCE


def expected_hidden_gradients(oracle, given, monkeypatch):
    """Total gradients of h as the reference's backward pass meets them, before it splits off what zoneout keeps."""
    met = []
    original = reference_layer._zone_out_backward

    def spy(d, mask, step, alive):
        met.append((step, d if alive is None else np.where(alive[step], d, 0)))
        return original(d, mask, step, alive)

    *_, tape = oracle.vjp(*arguments(given), **given.call)
    with monkeypatch.context() as patch:
        patch.setattr(reference_layer, "_zone_out_backward", spy)
        tape.backward(given.dy, given.dhn, given.dcn, np.zeros(oracle.size))
    options, steps = oracle.options, given.x.shape[1]
    count = options.num_layers * options.directions
    of_h = met[:: 2 if options.cell == "lstm" else 1]  # an LSTM's calls alternate between h and c
    dh = np.zeros((count, len(given.x), steps, oracle.state_size))
    calls = iter(of_h)
    for layer in reversed(range(options.num_layers)):
        for direction in range(options.directions):
            series = np.zeros((steps, len(given.x), oracle.state_size))
            for expected_step in reversed(range(steps)):
                step, d = next(calls)
                assert step == expected_step
                series[step] = d
            series = reverse(series, tape._saved.order) if direction else series
            dh[layer * options.directions + direction] = series.transpose(1, 0, 2)
    return dh


@pytest.mark.parametrize("name", STRUCTURES)
def test_a_backward_pass_gives_the_whole_gradient_of_every_hidden_state(name, monkeypatch):
    """Relative error at most 1e-11 in float64; and asking for it changes no other result."""
    for call in ("states", "last_lengths"):
        given = problem(STRUCTURES[name], (3, 5, 4, 9), **CALLS[call])
        oracle = reference.Recurrent(**given.options)
        engine = _core.Recurrent(**given.options, dtype="float64")
        *_, tape = engine.vjp(*arguments(given), **given.call)
        plain, asked = np.zeros(engine.size), np.zeros(engine.size)
        without = tape.backward(given.dy, given.dhn, given.dcn, plain, keep=True)
        expected = expected_hidden_gradients(oracle, given, monkeypatch)
        dh = np.zeros(expected.shape)
        results = tape.backward(given.dy, given.dhn, given.dcn, asked, dh=dh)
        assert error(dh, expected) <= TOLERANCE
        np.testing.assert_array_equal(asked, plain)
        for one, other in zip(results, without, strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
@pytest.mark.parametrize("threads", [2, 3])
def test_trace_and_hidden_gradients_have_the_same_bits_for_any_number_of_threads(cell, threads):
    """One row of many units: its units are shared out; many rows: its rows."""
    before = _core.get_num_threads()
    for sizes in ((1, 6, 40, 256), (9, 6, 40, 96)):
        given = problem({"cell": cell}, sizes, dtype="float32")
        engine = _core.Recurrent(**given.options, dtype="float32")
        options = reference.Recurrent(**given.options).options
        found = []
        try:
            for count in (1, threads):
                _core.set_num_threads(count)
                *_, tape = engine.vjp(*arguments(given), **given.call)
                arrays = empty(engine, options, given)
                tape.trace(*arrays)
                dh = np.zeros_like(arrays[0])
                tape.backward(given.dy, given.dhn, given.dcn, np.zeros(engine.size, np.float32), dh=dh)
                found.append([*arrays, dh])
        finally:
            _core.set_num_threads(before)
        assert np.abs(found[0][-1]).min() > 0
        for one, other in zip(*found, strict=True):
            np.testing.assert_array_equal(one, other)


def test_a_tape_refuses_arrays_that_do_not_fit_and_stays_usable():
    given = problem({"cell": "lstm"}, (2, 3, 4, 5))
    engine = _core.Recurrent(**given.options, dtype="float64")
    options = reference.Recurrent(**given.options).options
    *_, tape = engine.vjp(*arguments(given), **given.call)
    h, c, gates = empty(engine, options, given)
    with pytest.raises(ValueError, match=r"^h: expected shape \(1, 2, 3, 5\), got \(1, 2, 3, 4\)$"):
        tape.trace(h[..., :4].copy(), c, gates)
    with pytest.raises(ValueError, match=r"^gates: expected shape \(1, 2, 3, 4, 5\), got"):
        tape.trace(h, c, gates[..., :3, :].copy())
    with pytest.raises(TypeError, match=r"^c: expected a NumPy array, got NoneType"):
        tape.trace(h, None, gates)
    with pytest.raises(ValueError, match=r"^dh: expected shape \(1, 2, 3, 5\), got"):
        tape.backward(given.dy, None, None, np.zeros(engine.size), dh=h[:, :1].copy())
    tape.trace(h, c, gates)
    tape.backward(given.dy, None, None, np.zeros(engine.size))
    with pytest.raises(ValueError, match=r"^tape: expected one that has not been used"):
        tape.trace(h, c, gates)
