"""A loss without its gradient: the same bits, and in evaluation no gradient of whole sequences."""

import itertools

import numpy as np
import pytest

import recurra
from recurra import _core, losses

N, T, K = 4, 6, 3
SAMPLES = 16  # a power of 2, by which a mean divides exactly
RNG = np.random.default_rng(7)
LABELS = np.array([[1, 1, 2], [2, -1, -1], [-1, -1, -1], [2, 1, -1]])
LOGITS = RNG.normal(size=(N, T, K))
PROBABILITIES = np.exp(LOGITS) / np.exp(LOGITS).sum(axis=-1, keepdims=True)
CASES = {
    "ctc": (losses.CTC, {}, LABELS, LOGITS),
    "ctc of probabilities": (losses.CTC, {"from_logits": False}, LABELS, PROBABILITIES),
    "ctc without room": (losses.CTC, {"zero_infinity": True}, np.tile([[1, 1, 1]], (N, 1)), LOGITS),
    "crf": (losses.LinearChainCRF, {}, RNG.integers(0, K, (N, T)), RNG.normal(size=(N, T, K, K))),
}
REDUCTIONS = ("sum_over_batch_size", "sum", "mean_with_sample_weight", "mean_per_sequence")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("name", CASES)
def test_a_call_gives_the_bits_of_vjp(name, reduction, dtype):
    cls, options, y, outputs = CASES[name]
    loss, outputs = cls(reduction, **options), outputs.astype(dtype)
    for lengths, weights in itertools.product((None, [6, 4, 0, 5]), (None, [0.5, 0.0, 2.0, 1.0])):
        if name == "ctc" and lengths is None and weights is None:
            assert loss(y, outputs) > 0
        assert loss(y, outputs, weights, lengths) == loss.vjp(y, outputs, weights, lengths)[0]


def tagger():
    x = RNG.normal(size=(SAMPLES, T, 4)).astype(np.float32)
    model = recurra.Sequential([recurra.LSTM(K, return_sequences=True), recurra.layers.CRF(K)])
    model.compile("sgd", "linear_chain_crf")
    return model, x, RNG.integers(0, K, (SAMPLES, T))


def recogniser():
    x = RNG.normal(size=(SAMPLES, T, 4)).astype(np.float32)
    model = recurra.Sequential([recurra.LSTM(5, return_sequences=True), recurra.Dense(K)])
    model.compile("sgd", "ctc")
    return model, x, RNG.integers(1, K, (SAMPLES, 2))


@pytest.mark.parametrize("made", [tagger, recogniser], ids=lambda made: made.__name__)
def test_evaluation_computes_no_gradient_of_sequences(made, monkeypatch):
    model, x, y = made()
    lengths = RNG.integers(4, T + 1, SAMPLES)
    loss = model._objective.losses[0]
    expected = loss.vjp(y, model.predict(x, lengths=lengths), None, lengths)[0]

    def refuse(*arguments, **options):
        raise AssertionError("a gradient")

    monkeypatch.setattr(_core, "ctc_loss", refuse)
    monkeypatch.setattr(_core, "crf_loss", refuse)
    assert model.evaluate(x, y, lengths=lengths, batch_size=SAMPLES, verbose=0) == expected
    with pytest.raises(AssertionError, match="a gradient"):
        model.fit(x, y, lengths=lengths, verbose=0)


class Doubled(losses.CTC):
    def vjp(self, y_true, y_pred, sample_weight=None, lengths=None):
        loss, dy = super().vjp(y_true, y_pred, sample_weight, lengths)
        return 2 * loss, 2 * dy


def test_a_class_with_a_vjp_of_its_own_is_evaluated_by_it():
    model, x, y = recogniser()
    plain = model.evaluate(x, y, verbose=0, batch_size=SAMPLES)
    model.compile("sgd", Doubled())
    assert model.evaluate(x, y, verbose=0, batch_size=SAMPLES) == 2 * plain


def test_a_loss_without_a_reduction_is_refused_in_evaluation_too():
    model, x, y = recogniser()
    model.compile("sgd", losses.CTC(reduction=None))
    with pytest.raises(ValueError, match="reduction: expected one that makes a number"):
        model.evaluate(x, y, verbose=0)
