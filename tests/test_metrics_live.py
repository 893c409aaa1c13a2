"""Metrics beside Keras (float32), torchmetrics and scikit-learn: random targets and weights, in batches."""

import numpy as np
import pytest

from recurra import metrics

pytestmark = pytest.mark.slow

RNG = np.random.default_rng(9)
ROWS, K = 120, 4
REAL, TARGET = RNG.normal(size=(2, ROWS, K)).astype(np.float32)
SHARES = RNG.dirichlet(np.ones(K), ROWS).astype(np.float32)
LABELS = RNG.integers(0, K, ROWS)
ONE_HOT = np.eye(K, dtype=np.float32)[LABELS]
MANY = RNG.integers(0, 2, (ROWS, K)).astype(np.float32)
WEIGHTS = RNG.uniform(0.1, 2, ROWS).astype(np.float32)
YES, CHANCES = MANY[:, :1], SHARES[:, :1]

# Class, arguments, targets, outputs.
CASES = [
    ("BinaryAccuracy", {"threshold": 0.3}, MANY, SHARES),
    ("CategoricalAccuracy", {}, ONE_HOT, SHARES),
    ("SparseCategoricalAccuracy", {}, LABELS, SHARES),
    ("TopKCategoricalAccuracy", {"k": 2}, ONE_HOT, SHARES),
    ("SparseTopKCategoricalAccuracy", {"k": 3}, LABELS, SHARES),
    ("Precision", {}, MANY, SHARES),
    ("Precision", {"thresholds": [0.1, 0.4]}, MANY, SHARES),
    ("Precision", {"top_k": 2}, MANY, SHARES),
    ("Precision", {"class_id": 1, "thresholds": 0.2}, MANY, SHARES),
    ("Recall", {}, MANY, SHARES),
    ("Recall", {"top_k": 2, "class_id": 3}, MANY, SHARES),
    ("F1Score", {}, ONE_HOT, SHARES),
    ("F1Score", {"average": "micro", "threshold": 0.3}, MANY, SHARES),
    ("F1Score", {"average": "macro"}, ONE_HOT, SHARES),
    ("F1Score", {"average": "weighted"}, MANY, SHARES),
    *(
        ("AUC", {"curve": curve, "summation_method": method}, MANY, SHARES)
        for curve in ("ROC", "PR")
        for method in ("interpolation", "minoring", "majoring")
    ),
    ("AUC", {"from_logits": True, "num_thresholds": 50}, MANY, REAL),
    ("AUC", {"thresholds": [0.2, 0.5, 0.6]}, YES, CHANCES),
    ("MeanSquaredError", {}, TARGET, REAL),
    ("RootMeanSquaredError", {}, TARGET, REAL),
    ("MeanAbsoluteError", {}, TARGET, REAL),
    ("MeanAbsolutePercentageError", {}, TARGET, REAL),
    ("R2Score", {}, TARGET, REAL),
    ("R2Score", {"class_aggregation": "variance_weighted_average", "num_regressors": 3}, TARGET[:, :1], REAL[:, :1]),
    ("R2Score", {"class_aggregation": None}, TARGET, REAL),
]


@pytest.fixture(scope="module")
def text():
    return pytest.importorskip("torchmetrics.text")


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "weighted"])
@pytest.mark.parametrize(("name", "options", "y", "p"), CASES, ids=[f"{n} {o}" for n, o, *_ in CASES])
def test_metrics_are_keras_s_to_1e_4(keras, name, options, y, p, weights):
    mine, other = getattr(metrics, name)(**options), getattr(keras.metrics, name)(**options)
    for rows in np.array_split(np.arange(ROWS), 3):
        w = None if weights is None else weights[rows]
        mine.update_state(y[rows], p[rows], w)
        other.update_state(y[rows], p[rows], w)
    expected = other.result()
    expected = expected.detach().cpu().numpy() if hasattr(expected, "detach") else np.asarray(expected)
    np.testing.assert_allclose(mine.result(), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("y", "p"), [(LABELS, SHARES), (ONE_HOT, SHARES), (YES, CHANCES)])
def test_accuracy_tells_targets_apart_as_keras_s_name_does(keras, y, p):
    from keras.src.trainers.compile_utils import get_metric

    expected = float(get_metric("accuracy", y, p)(y, p))
    assert metrics.Accuracy()(y, p) == pytest.approx(expected, rel=1e-6)


def words(count):
    return [" ".join(RNG.choice(list("abcde"), RNG.integers(4, 12))) for _ in range(count)]


def test_error_rates_are_torchmetrics_(text):
    right, heard = words(30), words(30)
    for mine, other in (
        (metrics.WordErrorRate(), text.WordErrorRate()),
        (metrics.CharacterErrorRate(), text.CharErrorRate()),
        (metrics.EditDistance(), text.EditDistance()),
    ):
        pair = (right, heard)
        if type(mine) is metrics.EditDistance:
            pair = ([list(row) for row in right], [list(row) for row in heard])
        assert mine(*pair) == pytest.approx(float(other(heard, right)), rel=1e-5)


@pytest.mark.parametrize("smooth", [False, True])
@pytest.mark.parametrize("max_order", [2, 4])
def test_bleu_is_torchmetrics_(text, max_order, smooth):
    said, right = words(40), [words(3) for _ in range(40)]
    mine = metrics.BLEU(max_order, smooth)
    mine.update_state(right[:15], said[:15])
    mine.update_state(right[15:], said[15:])
    expected = float(text.BLEUScore(max_order, smooth)(said, right))
    assert 0 < expected < 1
    assert mine.result() == pytest.approx(expected, rel=1e-5)


def test_perplexity_is_torchmetrics_(text):
    import torch

    masked = np.where(RNG.random(ROWS) < 0.2, -100, LABELS)
    mine = metrics.Perplexity(from_logits=True, mask_token_id=-100)(masked, REAL)
    other = text.Perplexity(ignore_index=-100)(torch.tensor(REAL)[None], torch.tensor(masked)[None])
    assert mine == pytest.approx(float(other), rel=1e-5)


@pytest.mark.parametrize("normalize", [None, "true", "pred", "all"])
def test_the_confusion_matrix_is_scikit_learn_s(normalize):
    sklearn = pytest.importorskip("sklearn.metrics")
    pred = SHARES.argmax(-1)
    for w in (None, WEIGHTS.astype(float)):
        found = metrics.confusion_matrix(LABELS, pred, K + 1, w, normalize)
        expected = sklearn.confusion_matrix(LABELS, pred, labels=range(K + 1), sample_weight=w, normalize=normalize)
        np.testing.assert_allclose(found, expected, rtol=1e-12)
