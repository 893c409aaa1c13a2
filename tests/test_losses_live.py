"""Losses beside Keras and PyTorch, which are not installed with recurra: random targets, weights and masks, float32."""

import numpy as np
import pytest

import recurra
from loss_cases import CASES, IGNORED, LENGTHS, REAL, TARGET, WEIGHTS
from recurra import losses

pytestmark = pytest.mark.slow

T = 5
# Reductions that both know.
REDUCTIONS = ("sum_over_batch_size", "sum", "mean_with_sample_weight")
WITHOUT = {"gaussian_nll", "full gaussian", "quantile", "quantiles of two"}  # Keras has no such loss


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch")


def keras_twin(keras, loss, reduction):
    """Keras's loss with the same arguments."""
    config = {**loss.get_config(), "reduction": reduction}
    return getattr(keras.losses, type(loss).__name__)(**config)


def keras_loss_and_gradient(twin, y, p, weights, lengths):
    import torch
    from keras.src import backend

    y_pred = torch.tensor(p, dtype=torch.float32, requires_grad=True)
    if lengths is not None:
        backend.set_keras_mask(y_pred, torch.tensor(np.arange(T) < lengths[:, None]))
    if weights is not None and weights.ndim == 1:
        weights = np.repeat(weights[:, None], T, axis=1)  # Keras does not spread them over the steps
    value = twin(torch.tensor(y.astype(np.float32) if y.dtype.kind == "f" else y), y_pred, sample_weight=weights)
    value.backward()
    return value.item(), y_pred.grad.numpy()


@pytest.mark.parametrize("lengths", [None, LENGTHS])
@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("name", [name for name in CASES if name not in WITHOUT])
def test_losses_and_gradients_are_keras_s_to_1e_4(keras, name, reduction, weights, lengths):
    """Relative to the largest gradient; Keras works in float32 and so does the loss here."""
    loss, y, p, _ = CASES[name]
    w = WEIGHTS[weights]
    mine = type(loss).from_config({**loss.get_config(), "reduction": reduction})
    value, dy = mine.vjp(y, p.astype(np.float32), w, lengths)
    expected, d = keras_loss_and_gradient(keras_twin(keras, loss, reduction), y, p, w, lengths)
    np.testing.assert_allclose(value, expected, rtol=1e-4)
    np.testing.assert_allclose(dy, d, rtol=1e-3, atol=1e-4 * np.abs(d).max() + 1e-7)


def test_ignored_classes_are_keras_s_and_pytorch_s_to_1e_5(keras, torch):
    value, dy = losses.SparseCategoricalCrossentropy(True, -1).vjp(IGNORED, REAL.astype(np.float32))
    expected, d = keras_loss_and_gradient(
        keras.losses.SparseCategoricalCrossentropy(True, -1), IGNORED, REAL, None, None
    )
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    np.testing.assert_allclose(dy, d, atol=1e-6)
    flat = torch.tensor(REAL).reshape(-1, 3)
    other = torch.nn.functional.cross_entropy(flat, torch.tensor(IGNORED).reshape(-1), ignore_index=-1)
    np.testing.assert_allclose(value, other.item(), rtol=1e-5)


def test_names_mean_the_same_losses_in_keras(keras):
    from recurra.losses import LOSSES

    known = {"gaussian_nll", "quantile", "pinball", "linear_chain_crf"}
    for name, cls in LOSSES.items():
        if name not in known:
            found = keras.losses.get({"kld": "kl_divergence", "logcosh": "log_cosh"}.get(name, name))
            spelt = found.__name__ if not isinstance(found, keras.losses.Loss) else type(found).__name__
            assert spelt.lower().replace("_", "") == cls.__name__.lower(), name


PYTORCH = {
    "mse": lambda F, y, p: F.mse_loss(p, y),
    "mae": lambda F, y, p: F.l1_loss(p, y),
    "huber": lambda F, y, p: F.huber_loss(p, y, delta=0.7),
    "binary_crossentropy": lambda F, y, p: F.binary_cross_entropy(p, y),
    "bce of logits, smoothed": lambda F, y, p: F.binary_cross_entropy_with_logits(p, 0.8 * y + 0.1),
    "crossentropy of logits, smoothed": lambda F, y, p: F.cross_entropy(
        p.reshape(-1, 3), y.reshape(-1, 3), label_smoothing=0.3
    ),
    "sparse of logits": lambda F, y, p: F.cross_entropy(p.reshape(-1, 3), y.reshape(-1)),
    "poisson": lambda F, y, p: F.poisson_nll_loss(p, y, log_input=False, eps=1e-7),
    "cosine_similarity": lambda F, y, p: -F.cosine_similarity(p, y, dim=-1).mean(),
    "gaussian_nll": lambda F, y, p: F.gaussian_nll_loss(p[..., :2], y, p[..., 2:].exp()),
    "full gaussian": lambda F, y, p: F.gaussian_nll_loss(p[..., :1], y, p[..., 1:].exp(), full=True),
}


@pytest.mark.parametrize("name", PYTORCH)
def test_losses_and_gradients_are_pytorch_s_to_1e_10(torch, name):
    loss, y, p, _ = CASES[name]
    y_pred = torch.tensor(p, requires_grad=True)
    expected = PYTORCH[name](torch.nn.functional, torch.tensor(y), y_pred)
    expected.backward()
    value, dy = loss.vjp(y, p)
    np.testing.assert_allclose(value, expected.item(), rtol=1e-10)
    np.testing.assert_allclose(dy, y_pred.grad.numpy(), rtol=1e-9, atol=1e-12)


def test_variances_below_the_least_one_are_pytorch_s(torch):
    p = np.array([[0.3, -30.0]])
    y_pred = torch.tensor(p, requires_grad=True)
    variance = y_pred[..., 1:].exp()
    variance.retain_grad()
    expected = torch.nn.functional.gaussian_nll_loss(y_pred[..., :1], torch.tensor([[0.5]]), variance, eps=1e-3)
    expected.backward()
    value, dy = losses.GaussianNLL(eps=1e-3).vjp([[0.5]], p)
    np.testing.assert_allclose(value, expected.item(), rtol=1e-12)
    np.testing.assert_allclose(dy[0, 1], variance.grad.item() * 1e-3, rtol=1e-9)


@pytest.mark.parametrize("quantile", [0.1, 0.5, 0.93])
def test_one_quantile_is_scikit_learn_s_pinball_loss(quantile):
    metrics = pytest.importorskip("sklearn.metrics")
    value = losses.Quantile([quantile])(TARGET[:, 0, :1], REAL[:, 0, :1])
    expected = metrics.mean_pinball_loss(TARGET[:, 0, 0], REAL[:, 0, 0], alpha=quantile)
    np.testing.assert_allclose(value, expected, rtol=1e-12)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(("reduction", "name"), [("mean_per_sequence", "mean"), ("sum", "sum")])
def test_ctc_is_pytorch_s_to_1e_10(torch, reduction, name, seed):
    rng = np.random.default_rng(seed)
    n, t, c, blank = 6, 30, 5, seed % 5
    lengths, counts = rng.integers(18, t + 1, n), rng.integers(1, 8, n)
    labels = (blank + rng.integers(1, c, (n, 8))) % c
    y = rng.normal(size=(n, t, c)) * 3
    y_pred = torch.tensor(y, requires_grad=True)
    expected = torch.nn.functional.ctc_loss(
        y_pred.log_softmax(-1).transpose(0, 1),
        torch.tensor(labels),
        torch.tensor(lengths),
        torch.tensor(counts),
        blank=blank,
        reduction=name,
    )
    expected.backward()
    value, dy = losses.CTC(reduction, blank=blank).vjp((labels, counts), y, lengths=lengths)
    np.testing.assert_allclose(value, expected.item(), rtol=1e-10)
    np.testing.assert_allclose(dy, y_pred.grad.numpy(), rtol=1e-8, atol=1e-11)


def test_ctc_with_zero_infinity_is_pytorch_s(torch):
    rng = np.random.default_rng(0)
    y, labels = rng.normal(size=(3, 4, 3)), np.array([[1, 1, 1], [1, 2, 1], [2, 2, -1]])
    counts = torch.tensor([3, 3, 2])
    expected = torch.nn.functional.ctc_loss(
        torch.tensor(y).log_softmax(-1).transpose(0, 1),
        torch.tensor(labels),
        torch.full((3,), 4),
        counts,
        reduction="sum",
        zero_infinity=True,
    )
    np.testing.assert_allclose(losses.CTC("sum", zero_infinity=True)(labels, y), expected.item(), rtol=1e-12)


def test_ctc_is_keras_s_to_1e_5(keras):
    rng = np.random.default_rng(1)
    y = rng.normal(size=(4, 12, 6)).astype(np.float32)
    labels = np.array([[1, 2, 2, 0], [5, 0, 0, 0], [3, 4, 5, 1], [1, 1, 0, 0]])
    np.testing.assert_allclose(losses.CTC()(labels, y), float(keras.losses.CTC()(labels, y)), rtol=1e-5)


@pytest.mark.parametrize("strategy", ["greedy", "beam_search"])
def test_decoding_is_keras_s_scores_to_1e_4(keras, strategy):
    rng = np.random.default_rng(2)
    y = rng.normal(size=(3, 7, 4)).astype(np.float32) * 2
    lengths = np.array([7, 4, 5])
    mine = recurra.ctc_decode(y, lengths, strategy, beam_width=200, top_paths=3)
    theirs = keras.ops.ctc_decode(y, lengths, strategy, beam_width=200, top_paths=3)
    for found, expected in zip(mine, theirs, strict=True):
        np.testing.assert_allclose(found, expected.cpu().numpy(), rtol=1e-4)


def test_the_crf_is_that_of_autograd_in_pytorch_to_1e_9(torch):
    """The log partition function by its recursion, differentiated by PyTorch."""
    rng = np.random.default_rng(3)
    n, t, k = 4, 9, 5
    p, path, lengths = rng.normal(size=(n, t, k, k)), rng.integers(0, k, (n, t)), np.array([9, 1, 6, 4])
    y_pred = torch.tensor(p, requires_grad=True)
    total = 0.0
    for sample in range(n):
        alpha = y_pred[sample, 0, 0]
        score = alpha[path[sample, 0]]
        for step in range(1, lengths[sample]):
            alpha = torch.logsumexp(alpha[:, None] + y_pred[sample, step], dim=0)
            score = score + y_pred[sample, step, path[sample, step - 1], path[sample, step]]
        total = total + torch.logsumexp(alpha, 0) - score
    total.backward()
    value, dy = losses.LinearChainCRF("sum").vjp(path, p, lengths=lengths)
    np.testing.assert_allclose(value, total.item(), rtol=1e-12)
    np.testing.assert_allclose(dy, y_pred.grad.numpy(), rtol=1e-9, atol=1e-13)
