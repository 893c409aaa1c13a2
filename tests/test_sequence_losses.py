"""CTC and the linear-chain CRF: every path enumerated at tiny sizes, differences in float64, messages, threads."""

import itertools
import json
import signal
import time

import numpy as np
import pytest

import recurra
from recurra import _core, losses

RNG = np.random.default_rng(5)
N, T, C, K = 4, 5, 3, 3
LENGTHS = np.array([5, 3, 0, 4])
LOGITS = RNG.normal(size=(N, T, C))
LABELS = np.array([[1, 1, 2], [2, -1, -1], [-1, -1, -1], [2, 1, -1]])
POTENTIALS = RNG.normal(size=(N, T, K, K))
PATHS = RNG.integers(0, K, (N, T))
REDUCTIONS = ("sum_over_batch_size", "sum", "mean_with_sample_weight", "mean_per_sequence")


def collapse(path, blank=0):
    return tuple(k for k, _ in itertools.groupby(path) if k != blank)


def log_softmax(z):
    return z - np.log(np.exp(z).sum(-1, keepdims=True))


def labellings(logits, blank=0):
    """The probability of each labelling, over all paths."""
    p = np.exp(log_softmax(logits))
    result = {}
    for path in itertools.product(range(logits.shape[1]), repeat=len(logits)):
        key = collapse(path, blank)
        result[key] = result.get(key, 0.0) + np.prod([p[t, k] for t, k in enumerate(path)])
    return result


def score(potentials, path):
    steps = [potentials[t, path[t - 1], path[t]] for t in range(1, len(path))]
    return potentials[0, 0, path[0]] + sum(steps) if len(path) else 0.0


def scores(potentials, length):
    return {path: score(potentials, path) for path in itertools.product(range(K), repeat=length)}


def ctc_by_enumeration(logits, labels, lengths, blank=0):
    pairs = zip(logits, labels, lengths, strict=True)
    return np.array([-np.log(labellings(z[:n], blank)[tuple(y[y >= 0])]) for z, y, n in pairs])


def crf_by_enumeration(potentials, paths, lengths):
    pairs = zip(potentials, paths, lengths, strict=True)
    return np.array([np.log(sum(np.exp([*scores(p, n).values()]))) - score(p, y[:n]) for p, y, n in pairs])


# Loss, targets, outputs, its values by enumeration, and what "mean_per_sequence" divides by.
CASES = {
    "ctc": (losses.CTC, LABELS, LOGITS, ctc_by_enumeration(LOGITS, LABELS, LENGTHS), [3, 1, 1, 2]),
    "linear_chain_crf": (
        losses.LinearChainCRF,
        PATHS,
        POTENTIALS,
        crf_by_enumeration(POTENTIALS, PATHS, LENGTHS),
        [5, 3, 1, 4],
    ),
}


def differences(call, y, step=1e-6):
    result = np.zeros_like(y)
    for index in np.ndindex(y.shape):
        up, down = y.copy(), y.copy()
        up[index] += step
        down[index] -= step
        result[index] = (call(up) - call(down)) / (2 * step)
    return result


@pytest.mark.parametrize("name", CASES)
def test_losses_are_those_of_all_paths_to_1e_12(name):
    cls, y, p, expected, _ = CASES[name]
    np.testing.assert_allclose(cls(None)(y, p, lengths=LENGTHS), expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("blank", [0, 1, 2])
def test_any_class_may_be_the_blank(blank):
    labels = np.array([[(blank + 1) % 3, (blank + 2) % 3]])
    value = losses.CTC(blank=blank)(labels, LOGITS[:1])
    np.testing.assert_allclose(value, ctc_by_enumeration(LOGITS[:1], labels, [T], blank)[0], rtol=1e-12)


@pytest.mark.parametrize("weights", [None, np.array([0.5, 2.0, 1.0, 0.0])])
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("name", CASES)
def test_reductions_follow_their_definitions_and_gradients_are_differences(name, reduction, weights):
    """Values to 1e-12; gradients to 1e-6 by central differences of every element."""
    cls, y, p, values, sizes = CASES[name]
    loss, w = cls(reduction), np.ones(N) if weights is None else weights
    some = LENGTHS > 0
    total = (w * values)[some].sum()
    if reduction == "sum_over_batch_size":
        total /= some.sum()
    elif reduction == "mean_with_sample_weight":
        total /= w[some].sum()
    elif reduction == "mean_per_sequence":
        total = (w * values / sizes)[some].mean()
    value, dy = loss.vjp(y, p, weights, LENGTHS)
    np.testing.assert_allclose(value, total, rtol=1e-12)
    expected = differences(lambda q: loss(y, q, weights, LENGTHS), p)
    np.testing.assert_allclose(dy, expected, rtol=1e-6, atol=1e-8)
    assert not dy[np.arange(T) >= LENGTHS[:, None]].any()


def test_ctc_of_probabilities_is_that_of_their_logarithms_with_its_gradient():
    p = np.exp(LOGITS)
    loss = losses.CTC(from_logits=False)
    value, dy = loss.vjp(LABELS, p, lengths=LENGTHS)
    np.testing.assert_allclose(value, losses.CTC()(LABELS, LOGITS, lengths=LENGTHS), rtol=1e-12)
    np.testing.assert_allclose(dy, differences(lambda q: loss(LABELS, q, lengths=LENGTHS), p), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("name", CASES)
def test_float32_agrees_to_1e_5_and_padding_may_be_nan(name):
    cls, y, p, _, _ = CASES[name]
    expected = cls().vjp(y, p, lengths=LENGTHS)
    bad = p.astype(np.float32)
    bad[np.arange(T) >= LENGTHS[:, None]] = np.nan
    value, dy = cls().vjp(y, bad, lengths=LENGTHS)
    assert dy.dtype == np.float32
    np.testing.assert_allclose(value, expected[0], rtol=1e-5)
    np.testing.assert_allclose(dy, expected[1], rtol=1e-4, atol=1e-6)
    weights = np.array([1.0, 0.0, 1.0, 1.0])
    bad[1] = np.nan
    value, dy = cls().vjp(y, bad, weights, LENGTHS)
    assert np.isfinite(value)
    assert np.isfinite(dy).all()


@pytest.mark.parametrize("name", CASES)
def test_configurations_survive_json(name):
    loss = CASES[name][0](reduction="sum", name="mine")
    copy = losses.deserialize(json.loads(json.dumps(losses.serialize(loss))))
    assert copy.get_config() == loss.get_config()
    assert type(losses.get(name)) is CASES[name][0]


@pytest.mark.parametrize("name", CASES)
def test_results_do_not_depend_on_the_number_of_threads(name):
    cls = CASES[name][0]
    rng = np.random.default_rng(1)
    shape = (40, 60, 20) if name == "ctc" else (40, 60, 8, 8)
    p, y = rng.normal(size=shape).astype(np.float32), rng.integers(1, 8, (40, 20 if name == "ctc" else 60))
    lengths = rng.integers(45, 61, 40)
    before, results = recurra.get_num_threads(), []
    try:
        for threads in (1, 2, 5):
            recurra.set_num_threads(threads)
            results.append(cls().vjp(y, p, lengths=lengths))
    finally:
        recurra.set_num_threads(before)
    for value, dy in results[1:]:
        assert value == results[0][0]
        np.testing.assert_array_equal(dy, results[0][1])


def test_long_sequences_neither_overflow_nor_vanish():
    """2,000 steps: probabilities of some exp(-5000) stay exact in log space; each step's gradient sums to 0,
    to 1e-9, and to 1e-7 with scores whose sums reach 1e6."""
    p = np.random.default_rng(2).normal(size=(1, 2000, 30)) * 5
    value, dy = losses.CTC().vjp(np.full((1, 400), 3), p)
    assert 1000 < value < 1e5
    np.testing.assert_allclose(dy.sum(-1), 0.0, atol=1e-9)
    value, dy = losses.LinearChainCRF().vjp(np.zeros((1, 2000), int), np.full((1, 2000, 4, 4), 500.0))
    np.testing.assert_allclose(value, 2000 * np.log(4), rtol=1e-9)
    np.testing.assert_allclose(dy[:, 1:].sum((2, 3)), 0.0, atol=1e-7)


def test_targets_of_ctc_come_in_several_forms():
    expected = losses.CTC()(LABELS, LOGITS, lengths=LENGTHS)
    ragged = [[1, 1, 2], [2], [], np.array([2, 1])]
    pair = (np.where(LABELS < 0, 1, LABELS), np.array([3, 1, 0, 2]))
    padded_with_blank = np.where(LABELS < 0, 0, LABELS)
    for labels in (ragged, pair, padded_with_blank, LABELS.tolist()):
        assert losses.CTC()(labels, LOGITS, lengths=LENGTHS) == expected


def test_labels_that_do_not_fit_cost_nothing_with_zero_infinity():
    labels = np.array([[1, 1], [1, 2]])  # the first needs three steps
    value, dy = losses.CTC(zero_infinity=True).vjp(labels, LOGITS[:2, :2])
    np.testing.assert_allclose(value, ctc_by_enumeration(LOGITS[1:2, :2], labels[1:], [2])[0] / 2, rtol=1e-12)
    assert not dy[0].any()
    raw, _ = _core.ctc_loss(LOGITS[:2, :2].copy(), labels, np.array([2, 2]), np.array([2, 2]), blank=0)
    assert raw[0] == np.inf


def test_forbidden_transitions_of_minus_infinity_are_never_taken():
    p = POTENTIALS.copy()
    p[:, 1:, 0, 1] = -np.inf
    paths = np.where(PATHS == 1, 2, PATHS)
    value, dy = losses.LinearChainCRF(None)(paths, p), losses.LinearChainCRF().vjp(paths, p)[1]
    np.testing.assert_allclose(value, crf_by_enumeration(p, paths, [T] * N), rtol=1e-12)
    assert not dy[:, 1:, 0, 1].any()
    decoded, _ = recurra.crf_decode(p)
    assert not ((decoded[:, :-1] == 0) & (decoded[:, 1:] == 1)).any()


def test_nan_makes_nan_and_crashes_nothing():
    for name, (cls, y, p, _, _) in CASES.items():
        bad = p.copy()
        bad[0, 1] = np.nan
        value, dy = cls().vjp(y, bad, lengths=LENGTHS)
        assert np.isnan(value), name
        assert np.isfinite(dy[1:]).all()
    recurra.crf_decode(np.full((1, 4, 3, 3), np.nan))
    recurra.ctc_decode(np.full((1, 4, 3), np.nan), strategy="beam_search", beam_width=4)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs a timer")
@pytest.mark.parametrize("name", ["ctc", "beam", "crf"])
def test_ctrl_c_ends_a_long_call_early(name):
    """A signal after 50 ms ends calls of many seconds within 2 s."""
    rng = np.random.default_rng(0)
    calls = {
        "ctc": lambda: losses.CTC()(rng.integers(1, 3, (40, 1000)), np.zeros((40, 4000, 4))),
        "beam": lambda: recurra.ctc_decode(rng.normal(size=(40, 500, 200)), None, "beam_search", 300),
        "crf": lambda: losses.LinearChainCRF()(np.zeros((40, 500), int), np.zeros((40, 500, 60, 60), np.float32)),
    }

    def stop(*_):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, stop)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        start = time.perf_counter()
        with pytest.raises(KeyboardInterrupt):
            calls[name]()
        assert time.perf_counter() - start < 2.0
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


MISTAKES = [
    (lambda: losses.CTC()(LABELS, LOGITS[0]), ValueError, "y_pred: expected outputs (batch, time, classes), got shape"),
    (lambda: losses.CTC()(LABELS[:2], LOGITS), ValueError, "y: expected shape (4, labels), got (2, 3)"),
    (lambda: losses.CTC()(LABELS + 0.5, LOGITS), TypeError, "y: expected integer labels, got float64"),
    (
        lambda: losses.CTC()(LABELS + 1, LOGITS),
        ValueError,
        "y: expected labels from 0 to 2, got 3; the model has",
    ),
    (lambda: losses.CTC()([[1, 0, 2]] * 4, LOGITS), ValueError, "y: expected labels before all padding, got a gap in"),
    (
        lambda: losses.CTC()(LABELS, LOGITS, lengths=[3, 3, 3, 3]),
        ValueError,
        "y: expected labels that fit into 3 steps, got 3 that need 4 in sample 0; equal labels in a row",
    ),
    (
        lambda: losses.CTC()((LABELS, np.array([4, 1, 1, 1])), LOGITS),
        ValueError,
        "label_lengths: expected values",
    ),
    (lambda: losses.CTC()(LABELS, LOGITS, lengths=[-1, 3, 3, 3]), ValueError, "lengths: expected values from 0 to 5"),
    (lambda: losses.CTC(blank=3)(LABELS, LOGITS), ValueError, "blank: expected an integer from 0 to 2, got 3"),
    (lambda: losses.CTC()("abc", LOGITS), TypeError, "y: expected labels (batch, most labels)"),
    (lambda: losses.CTC()(LABELS, LOGITS, np.ones((4, 5))), ValueError, "sample_weight: expected one per sample, (4,)"),
    (
        lambda: losses.LinearChainCRF()(PATHS, LOGITS),
        ValueError,
        "y_pred: expected outputs (batch, time, labels",
    ),
    (
        lambda: losses.LinearChainCRF()(PATHS, POTENTIALS[..., :2]),
        ValueError,
        "y_pred: expected as many labels",
    ),
    (lambda: losses.LinearChainCRF()(PATHS + 1, POTENTIALS), ValueError, "y: expected labels from 0 to 2, got 3"),
    (
        lambda: losses.LinearChainCRF()(np.where(PATHS == 2, -1, PATHS), POTENTIALS, lengths=LENGTHS),
        ValueError,
        "y: expected labels from 0 to 2, got -1 in sample",
    ),
    (lambda: losses.LinearChainCRF()(PATHS[:, :4], POTENTIALS), ValueError, "y: expected shape (4, 5), got (4, 4)"),
    (lambda: recurra.crf_decode(POTENTIALS[0]), ValueError, "potentials: expected shape (batch, time, labels, labels)"),
    (lambda: recurra.crf_decode(POTENTIALS, [9] * 4), ValueError, "lengths: expected values from 0 to 5, got 9"),
    (
        lambda: recurra.ctc_decode(LOGITS, strategy="best"),
        ValueError,
        "strategy: expected one of 'greedy'",
    ),
    (
        lambda: recurra.ctc_decode(LOGITS, mask_index=3),
        ValueError,
        "mask_index: expected an integer from 0 to 2",
    ),
    (
        lambda: recurra.ctc_decode(LOGITS, strategy="beam_search", beam_width=2, top_paths=3),
        ValueError,
        "top_paths: expected an integer from 1 to 2, got 3",
    ),
]


@pytest.mark.parametrize(("call", "kind", "message"), MISTAKES, ids=[message for *_, message in MISTAKES])
def test_a_mistake_is_explained(call, kind, message):
    with pytest.raises(kind) as caught:
        call()
    assert str(caught.value).startswith(message)
