"""Attention, against its formula query by query and finite differences."""

import numpy as np
import pytest

import recurra

RNG = np.random.default_rng(20265)
N, Q, V, F, D = 3, 4, 6, 5, 2

LAYERS = {
    "dot": lambda: recurra.Attention(dtype="float64"),
    "scaled dot": lambda: recurra.Attention(use_scale=True, dtype="float64"),
    "concat": lambda: recurra.Attention(score_mode="concat", dtype="float64"),
    "scaled concat": lambda: recurra.Attention(True, "concat", dtype="float64"),
    "additive": lambda: recurra.AdditiveAttention(seed=1, dtype="float64"),
    "additive without scale": lambda: recurra.AdditiveAttention(use_scale=False, dtype="float64"),
}
QUERIES, VALUES = np.array([4, 2, 0]), np.array([6, 3, 1])


def inputs(with_key):
    arrays = [RNG.standard_normal(shape) for shape in ((N, Q, F), (N, V, D if with_key else F), (N, V, F))]
    return arrays if with_key else arrays[:2]


def built(name, arrays):
    layer = LAYERS[name]()
    layer.ensure_built([array.shape for array in arrays])
    for view in layer.parameters.values():
        view[...] = RNG.uniform(0.5, 1.5, view.shape)
    return layer


def score(layer, q, k):
    """The score of one query and one key, as the docstring has it."""
    p = layer.parameters
    scale = p.get("scale", 1.0)
    if isinstance(layer, recurra.AdditiveAttention):
        return np.sum(scale * np.tanh(q + k))
    if layer.score_mode == "dot":
        return scale * (q @ k)
    return p["concat_score_weight"] * np.tanh(scale * (q + k)).sum()


def formula(layer, arrays, queries, values, causal):
    """Outputs and weights, one query at a time, over the values that it sees."""
    query, value = arrays[:2]
    key = arrays[-1]
    y, weights = np.zeros((N, Q, value.shape[2])), np.zeros((N, Q, V))
    for n in range(N):
        for i in range(Q):
            seen = min(values[n], i + 1) if causal else values[n]
            e = np.exp([score(layer, query[n, i], key[n, j]) for j in range(seen)])
            weights[n, i, :seen] = e / e.sum()
            if i < queries[n]:
                y[n, i] = weights[n, i] @ value[n]
    return y, weights


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("with_key", [False, True])
@pytest.mark.parametrize("name", LAYERS)
def test_attention_is_its_formula(name, with_key, causal):
    arrays = inputs(with_key)
    layer = built(name, arrays)
    options = {"return_attention_scores": True, "use_causal_mask": causal}
    y, weights = layer(arrays, **options)
    expected = formula(layer, arrays, [Q] * N, [V] * N, causal)
    np.testing.assert_allclose(y, expected[0], atol=1e-13)
    np.testing.assert_allclose(weights, expected[1], atol=1e-13)
    assert layer.compute_output_shape([array.shape for array in arrays]) == y.shape

    y, weights = layer(arrays, lengths=[QUERIES, VALUES], **options)
    expected = formula(layer, arrays, QUERIES, VALUES, causal)
    np.testing.assert_allclose(y, expected[0], atol=1e-13)
    rows = np.arange(Q) < QUERIES[:, None]  # weights of queries that do not count are nobody's
    np.testing.assert_allclose(weights[rows], expected[1][rows], atol=1e-13)
    assert not weights[expected[1] == 0].any()  # exactly


@pytest.mark.parametrize("with_key", [False, True])
@pytest.mark.parametrize("name", LAYERS)
def test_gradients_of_attention_are_right(name, with_key):
    arrays = inputs(with_key)
    layer = built(name, arrays)
    for options in ({}, {"lengths": [QUERIES, VALUES], "use_causal_mask": True}):
        result = recurra.gradcheck(layer, arrays, **options)
        assert result.passed, str(result)


@pytest.mark.parametrize("name", ["scaled dot", "additive"])
def test_gradients_under_dropout_are_those_of_its_mask(name):
    arrays = inputs(False)
    layer = LAYERS[name]()
    layer.dropout, layer.random = 0.4, True
    layer = layer.clone()
    result = recurra.gradcheck(layer, arrays, training=True, seed=3)
    assert result.passed, str(result)
    assert (layer(arrays, training=True, seed=3) != layer(arrays)).any()
    np.testing.assert_array_equal(layer(arrays, training=True, seed=3), layer(arrays, training=True, seed=3))


@pytest.mark.parametrize("name", LAYERS)
def test_what_padding_holds_changes_nothing(name):
    arrays = inputs(True)
    layer, found = built(name, arrays), []
    for filler in (1.0, np.nan):
        for array, lengths in zip(arrays, (QUERIES, VALUES, VALUES), strict=True):
            array[np.arange(array.shape[1]) >= lengths[:, None]] = filler
        y, pullback = layer.vjp(arrays, lengths=[QUERIES, VALUES])
        layer.zero_gradients()
        found.append([y, *pullback(np.ones_like(y)), layer.flat_gradients.copy()])
    for first, second in zip(*found, strict=True):
        np.testing.assert_array_equal(first, second)


def test_a_sample_without_values_gets_zero_and_passes_no_gradient():
    layer, arrays = LAYERS["additive"](), inputs(False)
    y, pullback = layer.vjp(arrays, lengths=[None, [6, 0, 2]])
    assert not y[1].any()
    dquery, dvalue = pullback(np.ones_like(y))
    assert not dquery[1].any()
    assert not dvalue[1].any()
    assert np.isfinite(dquery).all()


def test_additive_scores_do_not_depend_on_the_blocks(monkeypatch):
    from recurra.layers import _scores

    arrays = inputs(True)
    layer = built("additive", arrays)
    found = []
    for size in (1, 1 << 22):
        monkeypatch.setattr(_scores, "_BLOCK_BYTES", size)
        y, pullback = layer.vjp(arrays)
        layer.zero_gradients()
        found.append([y, *pullback(np.ones_like(y)), layer.flat_gradients.copy()])
    for first, second in zip(*found, strict=True):
        np.testing.assert_allclose(first, second, atol=1e-12)


def test_attention_stands_in_a_graph_and_takes_the_lengths_of_its_inputs():
    query, value = recurra.Input((None, 3)), recurra.Input((None, 3))
    keys = recurra.GRU(4, return_sequences=True)(value)
    queries = recurra.GRU(4, return_sequences=True)(query)
    model = recurra.Model([query, value], recurra.Dense(2)(recurra.Attention(use_scale=True)([queries, keys])))
    x = [RNG.standard_normal((N, Q, 3)), RNG.standard_normal((N, V, 3))]
    result = recurra.gradcheck(model, x, lengths=[QUERIES, VALUES])
    assert result.passed, str(result)
    singles = [part.astype(np.float32) for part in x]
    y = model(singles, lengths=[None, VALUES])
    singles[1][1, VALUES[1] :] = 9.0
    np.testing.assert_array_equal(model(singles, lengths=[None, VALUES]), y)


FLOATS = [np.ones((2, 3, 4), np.float32), np.ones((2, 5, 4), np.float32)]
MISTAKES = [
    (lambda: recurra.Attention(score_mode="general"), "score_mode: expected one of 'dot', 'concat', got 'general'"),
    (lambda: recurra.Attention(dropout=1.0), "dropout: expected a rate from 0 to below 1, got 1.0"),
    (lambda: recurra.Attention()(FLOATS[0]), "inputs: expected a list of arrays for 'attention'"),
    (lambda: recurra.Attention()(FLOATS[:1]), "input_shape: expected two or three inputs, got 1"),
    (lambda: recurra.Attention()([FLOATS[0], FLOATS[1][..., :3]]), "input_shape[1]: expected 4 features, as the query"),
    (
        lambda: recurra.Attention()([FLOATS[0], FLOATS[1], FLOATS[0]]),
        "inputs[2]: expected 5 steps, as the value, got 3",
    ),
    (
        lambda: recurra.Attention()([FLOATS[0][0], FLOATS[1]]),
        "inputs[1]: expected shape (3, axis, axis), got (2, 5, 4)",
    ),
    (lambda: recurra.Attention()(FLOATS, lengths=[3, 4]), "queries: lengths: expected shape (2,), got ()"),
    (
        lambda: recurra.Attention()(FLOATS, lengths=[None, [6, 1]]),
        "values: lengths: expected values from 0 to 5, got 6",
    ),
    (lambda: recurra.Attention()(FLOATS, mask=np.ones((2, 3), bool)), "mask: expected a list, one entry for query"),
    (
        lambda: recurra.Attention().vjp(FLOATS)[1](np.ones((2, 3, 5), np.float32)),
        "dy: expected shape (2, 3, 4), got (2, 3, 5)",
    ),
]


@pytest.mark.parametrize(("call", "message"), MISTAKES, ids=[message for _, message in MISTAKES])
def test_a_mistake_is_explained(call, message):
    with pytest.raises((TypeError, ValueError)) as error:
        call()
    assert str(error.value).startswith(message)
