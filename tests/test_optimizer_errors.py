"""What a user reads after a mistake with an optimizer: `argument: expected X, got Y; hint`."""

import math

import pytest

from optimizer_cases import bag
from recurra import optimizers

WRONG = [
    (lambda: optimizers.SGD(-0.1), ValueError, "learning_rate: expected a number of at least 0, got -0.1"),
    (lambda: optimizers.SGD(math.nan), ValueError, "learning_rate: expected a number of at least 0, got nan"),
    (lambda: optimizers.SGD("0.1"), TypeError, "learning_rate: expected a number or a LearningRateSchedule, got '0.1'"),
    (lambda: optimizers.SGD(True), TypeError, "learning_rate: expected a number or a LearningRateSchedule, got True"),
    (lambda: optimizers.SGD({}), ValueError, "learning_rate: expected a dictionary of class_name and config, got"),
    (
        lambda: optimizers.SGD({"class_name": "Cosine", "config": {}}),
        ValueError,
        "learning_rate: expected one of 'ExponentialDecay'.*, got 'Cosine'",
    ),
    (lambda: optimizers.SGD(name=3), TypeError, "name: expected a text, got 3"),
    (lambda: optimizers.SGD(momentum=1.0), ValueError, "momentum: expected a rate from 0 to below 1, got 1.0"),
    (lambda: optimizers.SGD(nesterov=1), TypeError, "nesterov: expected True or False, got 1"),
    (
        lambda: optimizers.SGD(weight_decay=-1),
        ValueError,
        "weight_decay: expected a number of at least 0, or None, got",
    ),
    (lambda: optimizers.SGD(clipnorm=0), ValueError, "clipnorm: expected a number above 0, or None, got 0"),
    (lambda: optimizers.SGD(clipvalue=-1), ValueError, "clipvalue: expected a number above 0, or None, got -1"),
    (lambda: optimizers.SGD(global_clipnorm="1"), TypeError, "global_clipnorm: expected a number above 0, or None"),
    (
        lambda: optimizers.SGD(clipnorm=1, clipvalue=2),
        ValueError,
        "clipnorm: expected one of clipnorm, clipvalue and global_clipnorm, got clipnorm=1, clipvalue=2, global_clipn",
    ),
    (lambda: optimizers.SGD(use_ema="yes"), TypeError, "use_ema: expected True or False, got 'yes'"),
    (lambda: optimizers.SGD(ema_momentum=1.5), ValueError, "ema_momentum: expected a number from 0 to 1, got 1.5"),
    (
        lambda: optimizers.SGD(ema_overwrite_frequency=0),
        ValueError,
        "ema_overwrite_frequency: expected an integer from",
    ),
    (
        lambda: optimizers.SGD(gradient_accumulation_steps=1),
        ValueError,
        "gradient_accumulation_steps: expected an integer from 2 to",
    ),
    (
        lambda: optimizers.SGD(clip_norm=1.0),
        TypeError,
        "SGD: expected arguments among .*, got clip_norm=; did you mean clipnorm",
    ),
    (lambda: optimizers.RMSprop(rho=1.0), ValueError, "rho: expected a rate from 0 to below 1, got 1.0"),
    (lambda: optimizers.RMSprop(epsilon=-1.0), ValueError, "epsilon: expected a number of at least 0, got -1.0"),
    (lambda: optimizers.RMSprop(centered=None), TypeError, "centered: expected True or False, got None"),
    (lambda: optimizers.Adagrad(initial_accumulator_value=-1), ValueError, "initial_accumulator_value: expected a num"),
    (lambda: optimizers.Adadelta(rho=2), ValueError, "rho: expected a rate from 0 to below 1, got 2"),
    (lambda: optimizers.Adam(beta_1=1.0), ValueError, "beta_1: expected a rate from 0 to below 1, got 1.0"),
    (lambda: optimizers.Adam(beta_2="a"), TypeError, "beta_2: expected a rate from 0 to below 1, got 'a'"),
    (lambda: optimizers.Adam(amsgrad=1), TypeError, "amsgrad: expected True or False, got 1"),
    (lambda: optimizers.AdamW(weight_decay=None), TypeError, "weight_decay: expected a number of at least 0, got None"),
    (lambda: optimizers.Nadam(epsilon=None), TypeError, "epsilon: expected a number of at least 0, got None"),
    (lambda: optimizers.Lion(beta_1=0.0), ValueError, "beta_1: expected a rate above 0 and below 1, got 0.0"),
    (lambda: optimizers.get(3), TypeError, "optimizer: expected a name such as 'adam' or an Optimizer, got 3"),
    (lambda: optimizers.get("adamm"), ValueError, "optimizer: expected one of 'sgd', .*, got 'adamm'"),
    (lambda: optimizers.get({"class_name": "Adam"}), ValueError, "optimizer: expected a dictionary of class_name and"),
    (lambda: optimizers.get({"class_name": "A", "config": {}}), ValueError, "optimizer: expected one of 'sgd'"),
    (lambda: optimizers.get({"class_name": 3, "config": {}}), TypeError, "optimizer: expected a text as class_name"),
    (
        lambda: optimizers.SGD().exclude_from_weight_decay(var_names="bias"),
        TypeError,
        "var_names: expected a list of te",
    ),
    (
        lambda: optimizers.SGD().exclude_from_weight_decay(var_names=["("]),
        ValueError,
        "var_names: expected regular exp",
    ),
    (lambda: optimizers.SGD().set_state({}), TypeError, "state: expected a dictionary with the key 'iterations'"),
    (lambda: optimizers.SGD().set_state({"iterations": -1}), ValueError, "iterations: expected an integer from 0 to"),
    (
        lambda: optimizers.SGD(gradient_accumulation_steps=2).set_state({"iterations": 1, "waiting": 2}),
        ValueError,
        "waiting: expected an integer from 0 to 1, got 2",
    ),
    (
        lambda: optimizers.SGD(gradient_accumulation_steps=2).set_state({"iterations": 1, "touched": {"a": [1]}}),
        ValueError,
        "touched: expected lists of rows by where their table starts",
    ),
    (lambda: optimizers.Optimizer(0.1).step(bag()), NotImplementedError, "Optimizer defines no update"),
]


@pytest.mark.parametrize(("call", "kind", "message"), WRONG)
def test_wrong_arguments_are_named(call, kind, message):
    with pytest.raises(kind, match=message):
        call()
