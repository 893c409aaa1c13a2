"""Metrics: formulas in plain NumPy, batches joined, weights, lengths, best and worst cases, messages."""

import itertools
import json

import numpy as np
import pytest

import recurra
from recurra import metrics
from recurra.metrics import METRICS, Metric
from recurra.metrics.base import number_of, update_all
from recurra.metrics.sequence import edit_distances

RNG = np.random.default_rng(21)
ROWS, K = 40, 4
REAL, TARGET = RNG.normal(size=(2, ROWS, K))
SHARES = RNG.dirichlet(np.ones(K), ROWS)
LABELS = RNG.integers(0, K, ROWS)
ONE_HOT = np.eye(K)[LABELS]
CHANCES = RNG.uniform(size=(ROWS, 1))
YES = RNG.integers(0, 2, (ROWS, 1))
WEIGHTS = RNG.uniform(0.1, 2, ROWS) * (RNG.random(ROWS) < 0.8)


def mean(values, w):
    return (values * w).sum() / w.sum()


def counts(y, p, w):
    w = np.broadcast_to(w[:, None], y.shape)
    return (w * (y * p)).sum(0), (w * p).sum(0), (w * y).sum(0)


def f1(y, p, w):
    right, answers, targets = counts(y, np.eye(K)[p.argmax(-1)], w)
    return 2 * right / (answers + targets), targets


def roc_area(y, p, w):
    """The exact area: pairs of a positive and a negative row, ties for a half."""
    yes, no = y[:, 0] == 1, y[:, 0] == 0
    pairs = w[yes][:, None] * w[no]
    p = p[:, 0]
    order = (p[yes][:, None] > p[no]) + 0.5 * (p[yes][:, None] == p[no])
    return (pairs * order).sum() / pairs.sum()


def r2(y, p, w):
    w = w[:, None]
    centre = (w * y).sum(0) / w.sum()
    return 1 - (w * (y - p) ** 2).sum(0) / (w * (y - centre) ** 2).sum(0)


def nats(labels, p):
    return -np.log(p[np.arange(len(labels)), labels])


GRID = RNG.integers(0, 200, (ROWS, 1)) / 199 * (1 - 1e-9)  # between thresholds: so that their curve is the exact one
# Metric, targets, outputs, and its value by its formula with weights.
CASES = {
    "accuracy of labels": (metrics.Accuracy(), LABELS, SHARES, lambda y, p, w: mean(p.argmax(-1) == y, w)),
    "accuracy of one-hot": (metrics.Accuracy(), ONE_HOT, SHARES, lambda y, p, w: mean(p.argmax(-1) == LABELS, w)),
    "accuracy of one output": (metrics.Accuracy(), YES, CHANCES, lambda y, p, w: mean(((p > 0.5) == y)[:, 0], w)),
    "binary": (metrics.BinaryAccuracy(threshold=0.3), YES, CHANCES, lambda y, p, w: mean(((p > 0.3) == y)[:, 0], w)),
    "categorical": (metrics.CategoricalAccuracy(), ONE_HOT, SHARES, lambda y, p, w: mean(p.argmax(-1) == LABELS, w)),
    "sparse": (metrics.SparseCategoricalAccuracy(), LABELS, SHARES, lambda y, p, w: mean(p.argmax(-1) == y, w)),
    "top 2": (
        metrics.TopKCategoricalAccuracy(2),
        ONE_HOT,
        SHARES,
        lambda y, p, w: mean((np.argsort(-p)[:, :2] == LABELS[:, None]).any(-1), w),
    ),
    "sparse top 3": (
        metrics.SparseTopKCategoricalAccuracy(3),
        LABELS,
        SHARES,
        lambda y, p, w: mean((np.argsort(-p)[:, :3] == y[:, None]).any(-1), w),
    ),
    "precision": (metrics.Precision(), YES, CHANCES, lambda y, p, w: np.divide(*counts(y, p > 0.5, w)[:2])[0]),
    "precision of class 2": (
        metrics.Precision(0.3, class_id=2),
        LABELS,
        SHARES,
        lambda y, p, w: np.divide(*counts(ONE_HOT, p > 0.3, w)[:2])[2],
    ),
    "recall": (metrics.Recall(), YES, CHANCES, lambda y, p, w: np.divide(*counts(y, p > 0.5, w)[::2])[0]),
    "recall of the best": (
        metrics.Recall(top_k=1),
        ONE_HOT,
        SHARES,
        lambda y, p, w: mean(p.argmax(-1) == LABELS, w),
    ),
    "f1 macro": (metrics.F1Score("macro"), LABELS, SHARES, lambda y, p, w: f1(ONE_HOT, p, w)[0].mean()),
    "f1 micro": (metrics.F1Score("micro"), ONE_HOT, SHARES, lambda y, p, w: mean(p.argmax(-1) == LABELS, w)),
    "f1 weighted": (
        metrics.F1Score("weighted"),
        ONE_HOT,
        SHARES,
        lambda y, p, w: mean(*f1(y, p, w)),
    ),
    "auc": (metrics.AUC(), YES, GRID, roc_area),
    "mse": (metrics.MeanSquaredError(), TARGET, REAL, lambda y, p, w: mean(((y - p) ** 2).mean(-1), w)),
    "rmse": (metrics.RootMeanSquaredError(), TARGET, REAL, lambda y, p, w: mean(((y - p) ** 2).mean(-1), w) ** 0.5),
    "mae": (metrics.MeanAbsoluteError(), TARGET, REAL, lambda y, p, w: mean(np.abs(y - p).mean(-1), w)),
    "mape": (
        metrics.MeanAbsolutePercentageError(),
        TARGET,
        REAL,
        lambda y, p, w: mean(100 * np.abs((y - p) / y).mean(-1), w),
    ),
    "r2": (metrics.R2Score(), TARGET, REAL, lambda y, p, w: r2(y, p, w).mean()),
    "perplexity": (metrics.Perplexity(), LABELS, SHARES, lambda y, p, w: np.exp(mean(nats(y, p), w))),
    "bits": (metrics.BitsPerCharacter(), LABELS, SHARES, lambda y, p, w: mean(nats(y, p), w) / np.log(2)),
}
SEQUENCES = {
    metrics.EditDistance,
    metrics.WordErrorRate,
    metrics.CharacterErrorRate,
    metrics.BLEU,
    metrics.CRFViterbiAccuracy,
}


def fresh(metric):
    return metrics.deserialize(json.loads(json.dumps(metrics.serialize(metric))))


def test_every_metric_of_the_list_is_tested():
    tested = {type(metric) for metric, *_ in CASES.values()} | SEQUENCES | {metrics.Mean}
    assert set(METRICS.values()) == tested
    exported = {getattr(metrics, name) for name in metrics.__all__ if isinstance(getattr(metrics, name), type)}
    assert exported - {Metric, metrics.MeanMetric, metrics.FunctionMetric} == tested


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_values_are_those_of_the_formula_to_1e_9_however_batches_come(name, weighted):
    metric, y, p, formula = CASES[name]
    w = WEIGHTS if weighted else np.ones(ROWS)
    for sizes in ([ROWS], [7, 13, 0, 20], [1] * ROWS):
        metric = fresh(metric)
        for start, size in zip(np.cumsum([0, *sizes[:-1]]), sizes, strict=True):
            rows = slice(start, start + size)
            metric.update_state(y[rows], p[rows], w[rows] if weighted else None)
        np.testing.assert_allclose(metric.result(), formula(y, p, w), rtol=1e-9)


@pytest.mark.parametrize("name", CASES)
def test_reset_forgets_and_configurations_survive_json(name):
    metric, y, p, _ = CASES[name]
    metric = fresh(metric)
    before = metric(y, p)
    metric(y[::-1], p)
    metric.reset_state()
    assert metric(y, p) == before
    assert fresh(metric).get_config() == metric.get_config()


@pytest.mark.parametrize("name", CASES)
def test_rows_of_weight_0_are_not_looked_at(name):
    metric, y, p, _ = CASES[name]
    bad = p.copy()
    bad[WEIGHTS == 0] = np.nan
    assert fresh(metric)(y, bad, WEIGHTS) == fresh(metric)(y, p, WEIGHTS)


@pytest.mark.parametrize("name", CASES)
def test_steps_beyond_the_lengths_do_not_count(name):
    metric, y, p, _ = CASES[name]
    steps, lengths = (ROWS // 8, 8), np.array([8, 3, 0, 5, 7])
    mask = (np.arange(8) < lengths[:, None]).reshape(-1)
    chosen = fresh(metric)
    update_all([chosen], y.reshape(*steps, *y.shape[1:]), p.reshape(*steps, -1), None, lengths)
    np.testing.assert_allclose(chosen.result(), fresh(metric)(y[mask], p[mask]), rtol=1e-12)


@pytest.mark.parametrize("name", METRICS)
def test_names_make_metrics_that_keep_them(name):
    metric = metrics.get(name)
    assert type(metric) is METRICS[name]
    assert metric.name == name
    assert type(metrics.get(METRICS[name].__name__)) is METRICS[name]


def test_the_precision_recall_area_of_a_perfect_and_a_useless_answer():
    y = np.array([0, 0, 1, 1])
    for curve, method in itertools.product(("ROC", "PR"), ("interpolation", "minoring", "majoring")):
        # as in Keras, precision without answers is 0, so that the lower ends of the first piece are
        area = 0.5 if (curve, method) == ("PR", "minoring") else 1.0
        assert metrics.AUC(curve=curve, summation_method=method)(y, [0.1, 0.2, 0.8, 0.9]) == pytest.approx(area)
    assert metrics.AUC()(y, [0.9, 0.8, 0.2, 0.1]) == pytest.approx(0.0)
    assert metrics.AUC()(y, [0.5] * 4) == pytest.approx(0.5)
    assert metrics.AUC(from_logits=True)(y, [-900.0, -1.0, 1.0, 900.0]) == pytest.approx(1.0)
    assert metrics.AUC()([1, 1], [0.3, 0.4]) == 0.0
    assert metrics.AUC(thresholds=[0.5])([0, 1], [0.5, 0.7]) == 1.0  # an output at a threshold is not above it


def test_scores_of_several_thresholds_classes_and_outputs_are_arrays():
    y, p = [0, 1, 1, 1], [0.1, 0.4, 0.6, 0.9]
    np.testing.assert_allclose(metrics.Recall([0.2, 0.5, 0.95])(y, p), [1, 2 / 3, 0])
    np.testing.assert_allclose(metrics.F1Score()(LABELS, SHARES), f1(ONE_HOT, SHARES, np.ones(ROWS))[0])
    np.testing.assert_allclose(metrics.R2Score(None)(TARGET, REAL), r2(TARGET, REAL, np.ones(ROWS)))
    adjusted = metrics.R2Score(num_regressors=3)(TARGET, REAL)
    plain = metrics.R2Score()(TARGET, REAL)
    np.testing.assert_allclose(adjusted, 1 - (1 - plain) * (ROWS - 1) / (ROWS - 4))
    with pytest.raises(ValueError, match=r"^metrics: expected one number, got 4 from 'f1_score'; choose one that"):
        number_of(filled_f1())


def filled_f1():
    metric = metrics.F1Score()
    metric.update_state(LABELS, SHARES)
    return metric


def test_large_means_do_not_spoil_the_explained_variance():
    y = TARGET + 1e8
    metric = metrics.R2Score()
    for rows in np.array_split(np.arange(ROWS), 5):
        metric.update_state(y[rows], y[rows] + 0.1)
    np.testing.assert_allclose(metric.result(), r2(TARGET, TARGET + 0.1, np.ones(ROWS)).mean(), rtol=1e-6)


def test_masked_tokens_do_not_count():
    masked = np.where(RNG.random(ROWS) < 0.3, -1, LABELS)
    value = metrics.Perplexity(mask_token_id=-1)(masked, SHARES)
    np.testing.assert_allclose(value, np.exp(nats(LABELS, SHARES)[masked >= 0].mean()), rtol=1e-12)
    logits = np.log(SHARES) + 3.0
    np.testing.assert_allclose(metrics.Perplexity(True, -1)(masked, logits), value, rtol=1e-12)


def test_a_mean_of_nothing_is_no_number():
    for cls in (metrics.Accuracy, metrics.Perplexity, metrics.R2Score, metrics.EditDistance, metrics.WordErrorRate):
        assert np.isnan(cls().result())


def test_the_confusion_matrix_counts_pairs():
    pred = SHARES.argmax(-1)
    expected = np.zeros((K, K), int)
    for i, j in zip(LABELS, pred, strict=True):
        expected[i, j] += 1
    matrix = metrics.confusion_matrix(LABELS, pred)
    np.testing.assert_array_equal(matrix, expected)
    weighted = metrics.confusion_matrix(LABELS, pred, 6, WEIGHTS)
    assert weighted.shape == (6, 6)
    np.testing.assert_allclose(weighted.sum(), WEIGHTS.sum())
    for name, axis in (("true", 1), ("pred", 0), ("all", None)):
        shares = metrics.confusion_matrix(LABELS, pred, normalize=name)
        np.testing.assert_allclose(shares.sum(axis), 1.0)


def distance(a, b):
    """Levenshtein's recursion, as it stands in Wagner & Fischer 1974."""
    table = np.zeros((len(a) + 1, len(b) + 1), int)
    table[:, 0], table[0] = np.arange(len(a) + 1), np.arange(len(b) + 1)
    for i, j in itertools.product(range(len(a)), range(len(b))):
        table[i + 1, j + 1] = min(table[i, j + 1] + 1, table[i + 1, j] + 1, table[i, j] + (a[i] != b[j]))
    return table[-1, -1]


def test_edit_distances_are_those_of_the_recursion():
    rng = np.random.default_rng(4)
    pairs = [(rng.integers(0, 3, rng.integers(0, 9)), rng.integers(0, 3, rng.integers(0, 9))) for _ in range(200)]
    found = edit_distances([a.tolist() for a, _ in pairs], [b.tolist() for _, b in pairs])
    np.testing.assert_array_equal(found, [distance(a, b) for a, b in pairs])


def test_error_rates_divide_all_edits_by_all_tokens():
    right, heard = ["the cat sat", "on the mat"], ["the cat sat down", "in a mat"]
    assert metrics.WordErrorRate()(right, heard) == pytest.approx(3 / 6)
    assert metrics.WordErrorRate()(right, heard, [1.0, 0.0]) == pytest.approx(1 / 3)
    expected = sum(distance(a, b) for a, b in zip(right, heard, strict=True)) / sum(map(len, right))
    assert metrics.CharacterErrorRate()(right, heard) == pytest.approx(expected)
    assert metrics.EditDistance(normalize=True)([[1, 2], [3]], [[1], [3]]) == pytest.approx(0.25)


def test_error_rates_decode_outputs():
    best = np.array([[1, 1, 0, 2, 0], [0, 2, 2, 3, 1]])
    outputs = np.log(np.eye(4)[best] * 0.8 + 0.05)
    labels = np.array([[1, 2, -1], [2, 3, 0]])  # both -1 and the blank end labels
    assert metrics.EditDistance()(labels, outputs) == 0.5
    assert metrics.EditDistance()(labels, outputs, lengths=[5, 4]) == 0.0
    assert metrics.WordErrorRate(decode="argmax")(best, outputs) == 0.0
    assert metrics.WordErrorRate(decode="argmax")(np.where(best == 1, 2, best), outputs, lengths=[5, 3]) == 2 / 8


def test_bleu_is_that_of_its_definition():
    """Papineni et al. 2002, their example 2 of clipping, and a corpus of two by hand."""
    clipped = metrics.BLEU(max_order=1)
    assert clipped([["the cat is on the mat", "there is a cat on the mat"]], ["the the the the the the the"]) == (
        pytest.approx(2 / 7)
    )
    right, said = ["a b c d e", "f g h i"], ["a b c d x", "f g h"]
    matches, possible = np.array([7, 5, 3, 1]), np.array([8, 6, 4, 2])
    expected = np.exp(1 - 9 / 8) * np.prod(matches / possible) ** 0.25
    assert metrics.BLEU()(right, said) == pytest.approx(expected)
    tokens = [[row.split() for row in texts] for texts in (right, said)]
    assert metrics.BLEU()(*tokens) == pytest.approx(expected)
    assert metrics.BLEU()(right, right) == pytest.approx(1.0)
    assert metrics.BLEU()(["a b c"], ["x y z"]) == 0.0
    longer = np.prod([4 / 5, 3 / 4, 2 / 3, 1 / 2]) ** 0.25  # precision is the only penalty for length
    assert metrics.BLEU()(["a b c d"], ["a b c d e"]) == pytest.approx(longer)
    smoothed = metrics.BLEU(smooth=True)(["a b c d e"], ["a b c x y"])
    assert smoothed == pytest.approx((3 / 5 * 3 / 5 * 2 / 4 * 1 / 3) ** 0.25)


def test_metrics_of_sequences_go_through_fit():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(12, 6, 3)), rng.integers(1, 4, (12, 2))
    lengths = rng.integers(4, 7, 12)
    model = recurra.Sequential([recurra.LSTM(4, return_sequences=True), recurra.Dense(4)])
    model.compile("adam", "ctc", metrics=["edit_distance", metrics.CharacterErrorRate(name="cer")])
    model.fit(x, y, 4, 1, 0, lengths=lengths)
    results = model.evaluate(x, y, 5, 0, lengths=lengths, return_dict=True)
    decoded = recurra.ctc_decode(model.predict(x, lengths=lengths), lengths)[0][0]
    distances = [distance(a, b[b >= 0]) for a, b in zip(y, decoded, strict=True)]
    assert results["edit_distance"] == pytest.approx(np.mean(distances))
    assert results["cer"] == pytest.approx(np.sum(distances) / 24)


def test_functions_are_metrics():
    """Of rows, or a mean of the batch, which then counts by its rows' weights."""

    def worst(y_true, y_pred):
        return np.abs(y_true - y_pred).max(axis=-1)

    def mean_of_batch(y_true, y_pred):
        return np.abs(y_true - y_pred).mean()

    metric = metrics.get(worst)
    assert metric.name == "worst"
    np.testing.assert_allclose(metric(TARGET, REAL, WEIGHTS), mean(worst(TARGET, REAL), WEIGHTS), rtol=1e-12)
    batches = metrics.get(mean_of_batch)
    for rows in np.array_split(np.arange(ROWS), 3):
        batches.update_state(TARGET[rows], REAL[rows])
    np.testing.assert_allclose(batches.result(), np.abs(TARGET - REAL).mean(), rtol=1e-12)
    with pytest.raises(ValueError, match=r"^metrics: expected one value per row, \(40,\), or one number from 'bad'"):
        metrics.get(bad)(TARGET, REAL)


def bad(y_true, y_pred):
    return np.ones(3)


def test_tags_of_a_crf_are_counted_on_the_best_path():
    p, y, lengths = RNG.normal(size=(3, 5, 3, 3)), RNG.integers(0, 3, (3, 5)), np.array([5, 2, 4])
    paths, _ = recurra.crf_decode(p, lengths)
    metric = metrics.CRFViterbiAccuracy()
    update_all([metric], y, p, None, lengths)
    assert metric.result() == pytest.approx((paths == y).sum() / lengths.sum())


MISTAKES = [
    (lambda: metrics.get("acuracy"), ValueError, "metrics: expected one of 'accuracy'"),
    (lambda: metrics.get(7), TypeError, "metrics: expected names such as 'accuracy'"),
    (lambda: metrics.Accuracy()(LABELS[:3], SHARES), ValueError, "y_true: expected shape (40, 4) or (40,)"),
    (lambda: metrics.Accuracy()(LABELS, SHARES, np.ones(3)), ValueError, "sample_weight: expected one per sample"),
    (lambda: metrics.SparseCategoricalAccuracy()(ONE_HOT, SHARES), ValueError, "y_true: expected labels, one per row"),
    (lambda: metrics.CategoricalAccuracy()(LABELS + 1, SHARES), ValueError, "y_true: expected labels from 0 to 3"),
    (lambda: metrics.AUC()(YES, CHANCES * 2), ValueError, "y_pred: expected numbers from 0 to 1, got"),
    (lambda: metrics.AUC(curve="pr"), ValueError, "curve: expected one of 'ROC', 'PR', got 'pr'"),
    (lambda: metrics.F1Score("mean"), ValueError, "average: expected one of 'micro', 'macro', 'weighted'"),
    (lambda: metrics.Precision(1.5), ValueError, "thresholds: expected numbers from 0 to 1, got 1.5"),
    (lambda: metrics.Precision(class_id=9)(LABELS, SHARES), ValueError, "class_id: expected a class from 0 to 3"),
    (lambda: metrics.Perplexity()(LABELS + 1, SHARES), ValueError, "y: expected labels from 0 to 3, got 4"),
    (lambda: metrics.WordErrorRate()(["a"], ["a", "b"]), ValueError, "y_pred: expected 1 sequences, as in"),
    (lambda: metrics.confusion_matrix([0.5], [0]), TypeError, "y_true: expected integer labels"),
    (lambda: metrics.confusion_matrix([3], [0], 3), ValueError, "y_true: expected labels from 0 to 2, got 3"),
    (lambda: metrics.TopKCategoricalAccuracy(0), ValueError, "k: expected an integer from 1"),
]


@pytest.mark.parametrize(("call", "kind", "message"), MISTAKES, ids=[message for *_, message in MISTAKES])
def test_a_mistake_is_explained(call, kind, message):
    with pytest.raises(kind) as caught:
        call()
    assert str(caught.value).startswith(message)
