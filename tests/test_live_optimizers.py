"""Optimizers and schedules beside Keras and PyTorch, over 50 steps and more."""

from __future__ import annotations

import numpy as np
import pytest

from optimizer_cases import CASES, IDS, Bag, bag, gradients
from recurra import optimizers
from recurra.optimizers import OPTIMIZERS, schedules
from test_schedules import CASES as SCHEDULE_CASES

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
STEPS, SIZE = 50, 37
# Of parameters around 1 that move by around 1; of the rates of schedules, relative.
TOLERANCE = {"float32": 1e-5, "float64": 1e-12}


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch")


@pytest.fixture(params=["float32", "float64"])
def keras(request, torch):
    """Keras in a dtype, whose learning rates have it too."""
    found = pytest.importorskip("keras")
    if found.backend.backend() != "torch":
        pytest.skip("keras is there with another backend")
    found.config.set_floatx(request.param)
    yield found
    found.config.set_floatx("float32")


def layers(dtype):
    """Two weights and a bias."""
    return Bag({"kernel": ((5, 4), {}), "kernel_2": ((2, 6), {}), "bias": ((5,), {})}, dtype)


def beside_keras(keras, model, ours, theirs, prepare=lambda optimizer: None, finish=False):
    """Take the steps on both sides and compare the parameters; with this backend Keras takes norms in float32."""
    dtype = keras.config.floatx()
    tolerance = max(TOLERANCE[dtype], 1e-8 if ours.clipnorm or ours.global_clipnorm else 0.0)
    variables = [keras.Variable(value.copy(), name=name, dtype=dtype) for name, value in model.parameters.items()]
    prepare(ours)
    prepare(theirs)
    for t in range(STEPS):
        model.put(gradients(t, model.size).astype(dtype))
        ours.step(model)
        theirs.apply([keras.ops.convert_to_tensor(g.copy()) for g in model.gradients.values()], variables)
        assert float(theirs.learning_rate) == pytest.approx(ours.learning_rate, rel=TOLERANCE[dtype])
        assert int(theirs.iterations) == ours.iterations
    if finish:
        ours.finalize_variable_values(model)
        theirs.finalize_variable_values(variables)
    for value, variable in zip(model.parameters.values(), variables, strict=True):
        np.testing.assert_allclose(value, variable.numpy(), atol=tolerance, rtol=tolerance)


def of_keras(keras, name, rate, options):
    """Return Keras's optimizer by our name."""
    if name == "amsgrad":
        name, options = "adam", {"amsgrad": True, **options}
    classes = {cls.lower(): getattr(keras.optimizers, cls) for cls in dir(keras.optimizers) if cls[0].isupper()}
    return classes[name](rate, **options)


@pytest.mark.parametrize(("name", "options"), CASES, ids=IDS)
def test_fifty_steps_are_those_of_keras(name, options, keras):
    model = bag(SIZE, keras.config.floatx())
    beside_keras(keras, model, OPTIMIZERS[name](0.01, **options), of_keras(keras, name, 0.01, options))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_defaults_are_those_of_keras(name, keras):
    ours = OPTIMIZERS[name]().get_config()
    cls = type(of_keras(keras, name, 0.5, {}))
    theirs = cls(amsgrad=True).get_config() if name == "amsgrad" else cls().get_config()
    for key, value in ours.items():
        if key != "name":
            assert theirs[key] == (pytest.approx(value, rel=1e-7) if isinstance(value, float) else value), key
    assert set(theirs) - set(ours) == {"loss_scale_factor"}


@pytest.mark.parametrize(
    "options",
    [
        {"clipvalue": 0.1},
        {"clipnorm": 0.5},
        {"global_clipnorm": 0.5},
        {"weight_decay": 0.1},
        {"use_ema": True, "ema_momentum": 0.9},
        {"use_ema": True, "ema_momentum": 0.9, "ema_overwrite_frequency": 7},
        {"gradient_accumulation_steps": 3},
        {"gradient_accumulation_steps": 4, "clipnorm": 0.5, "weight_decay": 0.1},
    ],
    ids=lambda options: "-".join(options),
)
@pytest.mark.parametrize("name", ["SGD", "Adam"])
def test_options_do_what_they_do_in_keras(name, options, keras):
    ours, theirs = getattr(optimizers, name)(0.01, **options), getattr(keras.optimizers, name)(0.01, **options)
    beside_keras(keras, layers(keras.config.floatx()), ours, theirs, finish=True)


def test_exclusions_from_decay_are_those_of_keras(keras):
    options = {"weight_decay": 0.5}
    beside_keras(
        keras,
        layers(keras.config.floatx()),
        optimizers.AdamW(0.01, **options),
        keras.optimizers.AdamW(0.01, **options),
        lambda optimizer: optimizer.exclude_from_weight_decay(var_names=["bias", "_2"]),
    )


@pytest.mark.parametrize("steps", [None, 3])
def test_a_schedule_moves_an_optimizer_as_in_keras(steps, keras):
    arguments = {"initial_learning_rate": 0.1, "decay_steps": 20, "warmup_target": 0.3, "warmup_steps": 10}
    ours = optimizers.Adam(schedules.CosineDecay(**arguments), gradient_accumulation_steps=steps)
    theirs = keras.optimizers.Adam(
        keras.optimizers.schedules.CosineDecay(**arguments), gradient_accumulation_steps=steps
    )
    beside_keras(keras, bag(SIZE, keras.config.floatx()), ours, theirs)


OF_KERAS = [case for case in SCHEDULE_CASES if case[0] not in ("OneCycleLR", "LinearWarmup") and case[1][0] != []]


@pytest.mark.parametrize(("name", "positional", "options"), OF_KERAS)
def test_each_step_of_a_schedule_is_that_of_keras(name, positional, options, keras):
    """Keras reckons the rates in its floating-point type; a restart may come a step late there, by rounding."""
    ours = getattr(schedules, name)(*positional, **options)
    theirs = getattr(keras.optimizers.schedules, name)(*positional, **options)
    late = 0
    for t in range(120):
        expected = float(theirs(t))
        if name == "CosineDecayRestarts" and ours(t) > ours(t - 1) and t:
            late += not np.isclose(ours(t), expected, rtol=1e-5)
            continue
        assert ours(t) == pytest.approx(expected, rel=3e-5, abs=1e-7), t
    assert late <= 2
    assert ours.get_config() == theirs.get_config()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"pct_start": 0.25, "div_factor": 5.0},
        {"anneal_strategy": "linear"},
        {"three_phase": True, "pct_start": 0.4},
    ],
    ids=str,
)
def test_each_step_of_one_cycle_is_that_of_pytorch(options, torch):
    ours = schedules.OneCycleLR(0.1, total_steps=60, **options)
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    theirs = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=60, cycle_momentum=False, **options)
    for t in range(60):
        assert ours(t) == pytest.approx(theirs.get_last_lr()[0], rel=1e-12), t
        theirs.step() if t < 59 else None


def test_each_step_of_a_warmup_is_that_of_pytorchs_linear_rate(torch):
    ours = schedules.LinearWarmup(0.5, 10, 0.1)
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=0.5)
    theirs = torch.optim.lr_scheduler.LinearLR(optimizer, start_factor=0.2, total_iters=10)
    for t in range(20):
        assert ours(t) == pytest.approx(theirs.get_last_lr()[0], rel=1e-12), t
        theirs.step()


# PyTorch puts epsilon elsewhere, so there is next to none; Adadelta's is where Keras's is.
OF_TORCH = {
    "SGD": ({"lr": 0.01, "momentum": 0.9}, optimizers.SGD(0.01, 0.9)),
    "RMSprop": ({"lr": 0.01, "alpha": 0.9, "eps": 1e-30}, optimizers.RMSprop(0.01, epsilon=0.0)),
    "Adagrad": (
        {"lr": 0.01, "initial_accumulator_value": 0.1, "eps": 1e-30},
        optimizers.Adagrad(0.01, epsilon=0.0),
    ),
    "Adadelta": ({"lr": 0.5, "rho": 0.9, "eps": 1e-6}, optimizers.Adadelta(0.5, 0.9, 1e-6)),
    "Adam": ({"lr": 0.01, "eps": 1e-30}, optimizers.Adam(0.01, epsilon=0.0)),
    "AdamW": ({"lr": 0.01, "eps": 1e-30, "weight_decay": 0.1}, optimizers.AdamW(0.01, 0.1, epsilon=0.0)),
    "Adamax": ({"lr": 0.01, "eps": 1e-30}, optimizers.Adamax(0.01, epsilon=0.0)),
}


@pytest.mark.parametrize("name", OF_TORCH)
def test_fifty_steps_are_those_of_pytorch_but_for_epsilon(name, torch):
    options, ours = OF_TORCH[name]
    ours, model = type(ours).from_config(ours.get_config()), bag(SIZE)
    w = torch.tensor(model.flat_parameters.copy(), requires_grad=True)
    theirs = getattr(torch.optim, name)([w], **options)
    for t in range(STEPS):
        g = gradients(t, SIZE)
        g[g == 0.0] = 0.5
        model.put(g)
        ours.step(model)
        w.grad = torch.tensor(g)
        theirs.step()
    np.testing.assert_allclose(model.flat_parameters, w.detach().numpy(), atol=1e-12, rtol=1e-12)


def test_steps_on_tables_are_those_of_pytorchs_sparse_adam(torch):
    model = Bag({"table": ((20, 5), {"sparse": True})})
    table = torch.nn.Embedding.from_pretrained(
        torch.tensor(model.parameters["table"].copy()), freeze=False, sparse=True
    )
    ours, theirs = optimizers.Adam(0.01, epsilon=0.0), torch.optim.SparseAdam(table.parameters(), lr=0.01, eps=1e-30)
    for t in range(STEPS):
        rng = np.random.default_rng(t)
        rows, slopes = rng.integers(0, 20, 6), rng.normal(size=(6, 5))
        model.zero_gradients()
        np.add.at(model.gradients["table"], rows, slopes)
        model._touch("table", rows)
        ours.step(model)
        table.zero_grad()
        (table(torch.tensor(rows)) * torch.tensor(slopes)).sum().backward()
        theirs.step()
    np.testing.assert_allclose(model.parameters["table"], table.weight.detach().numpy(), atol=1e-12)
