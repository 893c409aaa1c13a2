"""Decoding against every labelling and every path, the CRF layer, and models that use them."""

import numpy as np
import pytest

import recurra
from recurra import losses
from recurra.layers import CRF
from test_sequence_losses import LENGTHS, LOGITS, POTENTIALS, K, N, T, labellings, scores

RNG = np.random.default_rng(8)


def unpadded(row):
    return tuple(int(k) for k in row if k >= 0)


@pytest.mark.parametrize("blank", [0, 2])
def test_a_wide_beam_finds_the_likeliest_labellings_and_their_probabilities(blank):
    """Log probabilities to 1e-12; every labelling fits into the beam, so that the search is exact."""
    paths, found = recurra.ctc_decode(LOGITS, LENGTHS, "beam_search", 300, 5, mask_index=blank)
    assert paths.shape == (5, N, T)
    assert found.shape == (N, 5)
    for n in range(N):
        known = sorted(labellings(LOGITS[n, : LENGTHS[n]], blank).items(), key=lambda item: -item[1])[:5]
        assert [unpadded(paths[i, n]) for i in range(len(known))] == [labels for labels, _ in known]
        np.testing.assert_allclose(found[n, : len(known)], np.log([p for _, p in known]), rtol=1e-12, atol=1e-14)
        assert (found[n, len(known) :] == -np.inf).all()
        assert (paths[len(known) :, n] == -1).all()


def test_a_beam_of_one_keeps_one_and_never_claims_more_than_the_truth():
    paths, found = recurra.ctc_decode(LOGITS, strategy="beam_search", beam_width=1)
    for n in range(N):
        assert found[n, 0] <= np.log(labellings(LOGITS[n])[unpadded(paths[0, n])]) + 1e-12


def test_greedy_decoding_takes_the_best_class_of_each_step():
    best = [[1, 1, 0, 1, 2, 2], [2, 0, 0, 2, 1, 0]]
    y = np.log(np.eye(3)[best] * 0.8 + 0.1)
    decoded, found = recurra.ctc_decode(y, [6, 4])
    np.testing.assert_array_equal(decoded, [[[1, 1, 2, -1, -1, -1], [2, 2, -1, -1, -1, -1]]])
    np.testing.assert_allclose(found, -np.log(0.9) * np.array([[6], [4]]))
    separate, _ = recurra.ctc_decode(y, [6, 4], merge_repeated=False)
    np.testing.assert_array_equal(separate, [[[1, 1, 1, 2, 2, -1], [2, 2, -1, -1, -1, -1]]])
    assert recurra.ctc_decode(np.zeros((2, 0, 3)))[0].shape == (1, 2, 0)


def test_viterbi_finds_the_best_of_all_paths():
    paths, found = recurra.crf_decode(POTENTIALS, LENGTHS)
    for n in range(N):
        every = scores(POTENTIALS[n], LENGTHS[n])
        best = max(every, key=every.get)
        assert unpadded(paths[n]) == best
        assert (paths[n, LENGTHS[n] :] == -1).all()
        np.testing.assert_allclose(found[n], every[best], rtol=1e-12)


def test_decoding_does_not_depend_on_the_number_of_threads():
    y, p = RNG.normal(size=(30, 40, 12)).astype(np.float32), RNG.normal(size=(30, 200, 9, 9)).astype(np.float32)
    before, results = recurra.get_num_threads(), []
    try:
        for threads in (1, 3):
            recurra.set_num_threads(threads)
            results.append((*recurra.ctc_decode(y, None, "beam_search", 16), *recurra.crf_decode(p)))
    finally:
        recurra.set_num_threads(before)
    for one, other in zip(*results, strict=True):
        np.testing.assert_array_equal(one, other)


def potentials_by_definition(layer, x, lengths):
    w = {name: values.copy() for name, values in layer.parameters.items()}
    y = np.zeros((*x.shape, layer.units))
    for n, t, i, j in np.ndindex(y.shape):
        y[n, t, i, j] = x[n, t, j] + (w["transitions"][i, j] if t else w["start"][j])
        if t == lengths[n] - 1:
            y[n, t, i, j] += w["end"][j]
    return y


@pytest.mark.parametrize("lengths", [None, LENGTHS])
def test_the_layer_gives_the_potentials_of_its_definition_and_their_gradients(lengths):
    """Potentials to 1e-12; gradients of all parameters and of x to 1e-7 by central differences."""
    layer = CRF(K, boundary_initializer="glorot_uniform", dtype="float64", seed=1)
    x = RNG.normal(size=(N, T, K))
    y, pullback = layer.vjp(x, lengths=lengths)
    known = np.full(N, T) if lengths is None else lengths
    np.testing.assert_allclose(y, potentials_by_definition(layer, x, known), rtol=1e-12, atol=1e-15)
    np.testing.assert_array_equal(layer(x, lengths=lengths), y)
    dy = RNG.normal(size=y.shape)
    layer.zero_gradients()
    dx = pullback(dy)
    for values, gradient in [(x, dx), *((layer.parameters[n], layer.gradients[n]) for n in layer.parameters)]:
        for index in np.ndindex(values.shape):
            kept = values[index]
            values[index] = kept + 1e-6
            up = (layer(x, lengths=lengths) * dy).sum()
            values[index] = kept - 1e-6
            down = (layer(x, lengths=lengths) * dy).sum()
            values[index] = kept
            np.testing.assert_allclose(gradient[index], (up - down) / 2e-6, rtol=1e-7, atol=1e-8)
    assert pullback(dy, need_dx=False) is None


def test_the_layer_takes_only_as_many_features_as_labels():
    with pytest.raises(ValueError, match=r"input_shape: expected 4 features, one per label, got 3; put recurra.Dense"):
        CRF(4)(np.zeros((1, 2, 3), np.float32))
    layer = CRF(3, use_boundary=False)
    layer(np.zeros((1, 2, 3), np.float32))
    assert list(layer.parameters) == ["transitions"]


def test_a_tagger_with_a_crf_learns_tags_that_depend_on_their_neighbours(tmp_path):
    """Emissions alone cannot tell label 1 from 2; the transitions can. Ragged labels and lengths go through fit."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(3, 9, 64)
    tags = [np.cumsum(rng.integers(1, 3, n)) % 3 for n in lengths]
    x = np.zeros((64, 8, 2), np.float32)
    for n, path in enumerate(tags):
        x[n, : len(path), 0] = path == 0
    model = recurra.Sequential([recurra.Dense(3, seed=1), CRF(3, seed=2)])
    model.compile("adam", "linear_chain_crf")
    model.optimizer.learning_rate = 0.1
    history = model.fit(x, tags, 16, 20, 0, lengths=lengths, seed=3)
    assert history.history["loss"][-1] < 0.6 * history.history["loss"][0]
    loaded = None
    model.save(tmp_path / "tagger.safetensors")
    loaded = recurra.load_model(tmp_path / "tagger.safetensors")
    np.testing.assert_array_equal(loaded.predict(x, lengths=lengths), model.predict(x, lengths=lengths))
    assert loaded.evaluate(x, tags, verbose=0, lengths=lengths) == model.evaluate(x, tags, verbose=0, lengths=lengths)


def test_ctc_learns_to_read_in_a_model():
    rng = np.random.default_rng(0)
    labels = [rng.integers(1, 4, rng.integers(1, 4)) for _ in range(48)]
    x = np.zeros((48, 8, 4), np.float32)
    for n, row in enumerate(labels):
        for i, label in enumerate(row):
            x[n, 2 * i + 1, label] = 1.0
    model = recurra.Sequential([recurra.LSTM(16, return_sequences=True, seed=1), recurra.Dense(4, seed=2)])
    model.compile("adam", losses.CTC(), metrics=[])
    model.optimizer.learning_rate = 0.05
    model.fit(x, labels, 16, 40, 0, seed=1, lengths=np.array([2 * len(row) + 1 for row in labels]))
    decoded, _ = recurra.ctc_decode(model.predict(x), [2 * len(row) + 1 for row in labels])
    right = [unpadded(found) == tuple(row) for found, row in zip(decoded[0], labels, strict=True)]
    assert np.mean(right) > 0.9
