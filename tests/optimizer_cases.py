"""The optimizers' rules in NumPy, as their papers and Keras state them, and layers to try them on."""

import numpy as np

from recurra.layers import Layer


class Bag(Layer):
    """Parameters without a use: ``declared`` is name to (shape, options of add_weight)."""

    def __init__(self, declared, dtype="float64", seed=1):
        super().__init__(dtype=dtype, seed=seed)
        self.declared = declared
        self.build((None, 1))
        self.fill(np.random.default_rng(seed).normal(size=self.size))

    def build(self, input_shape):
        super().build(input_shape)
        for name, (shape, options) in self.declared.items():
            self.add_weight(name, shape, **options)

    def fill(self, values):
        self.flat_parameters[...] = values

    def put(self, gradients):
        """Set all gradients, of tables too."""
        self.flat_gradients[...] = gradients


def bag(size=37, dtype="float64"):
    """Return one parameter: not a whole number of vectors."""
    return Bag({"w": ((size,), {})}, dtype)


def sgd(w, g, s, t, lr, momentum=0.0, nesterov=False):
    if not momentum:
        return w - lr * g
    s["v"] = momentum * s.get("v", 0 * w) - lr * g
    return w + (momentum * s["v"] - lr * g if nesterov else s["v"])


def rmsprop(w, g, s, t, lr, rho=0.9, momentum=0.0, epsilon=1e-7, centered=False):
    s["v"] = rho * s.get("v", 0 * w) + (1 - rho) * g**2
    s["a"] = rho * s.get("a", 0 * w) + (1 - rho) * g
    u = lr * g / np.sqrt(s["v"] - (s["a"] ** 2 if centered else 0) + epsilon)
    s["m"] = momentum * s.get("m", 0 * w) + u
    return w - s["m"]


def adagrad(w, g, s, t, lr, initial_accumulator_value=0.1, epsilon=1e-7):
    s["a"] = s.get("a", initial_accumulator_value) + g**2
    return w - lr * g / np.sqrt(s["a"] + epsilon)


def adadelta(w, g, s, t, lr, rho=0.95, epsilon=1e-7):
    s["a"] = rho * s.get("a", 0 * w) + (1 - rho) * g**2
    d = s.get("d", 0 * w)
    u = np.sqrt(d + epsilon) / np.sqrt(s["a"] + epsilon) * g
    s["d"] = rho * d + (1 - rho) * u**2
    return w - lr * u


def moments(w, g, s, beta_1, beta_2):
    s["m"] = beta_1 * s.get("m", 0 * w) + (1 - beta_1) * g
    s["v"] = beta_2 * s.get("v", 0 * w) + (1 - beta_2) * g**2
    return s["m"], s["v"]


def adam(w, g, s, t, lr, beta_1=0.9, beta_2=0.999, epsilon=1e-7, amsgrad=False):
    m, v = moments(w, g, s, beta_1, beta_2)
    if amsgrad:
        v = s["largest"] = np.maximum(s.get("largest", 0 * w), v)
    return w - lr * np.sqrt(1 - beta_2**t) / (1 - beta_1**t) * m / (np.sqrt(v) + epsilon)


def adamw(w, g, s, t, lr, weight_decay=0.004, **options):
    return adam(w - lr * weight_decay * w, g, s, t, lr, **options)


def nadam(w, g, s, t, lr, beta_1=0.9, beta_2=0.999, epsilon=1e-7):
    m, v = moments(w, g, s, beta_1, beta_2)
    u = [beta_1 * (1 - 0.5 * 0.96**i) for i in range(t + 2)]
    ahead = u[t + 1] * m / (1 - np.prod(u[1 : t + 2])) + (1 - u[t]) * g / (1 - np.prod(u[1 : t + 1]))
    return w - lr * ahead / (np.sqrt(v / (1 - beta_2**t)) + epsilon)


def adamax(w, g, s, t, lr, beta_1=0.9, beta_2=0.999, epsilon=1e-7):
    m, _ = moments(w, g, s, beta_1, beta_2)
    s["u"] = np.maximum(beta_2 * s.get("u", 0 * w), np.abs(g))
    return w - lr / (1 - beta_1**t) * m / (s["u"] + epsilon)


def lion(w, g, s, t, lr, beta_1=0.9, beta_2=0.99):
    m = s.get("m", 0 * w)
    s["m"] = beta_2 * m + (1 - beta_2) * g
    return w - lr * np.sign(beta_1 * m + (1 - beta_1) * g)


def amsgrad(w, g, s, t, lr, **options):
    return adam(w, g, s, t, lr, amsgrad=True, **options)


# By the optimizer's name: its rule, and the arguments to try it with.
RULES = {
    "sgd": (sgd, [{}, {"momentum": 0.9}, {"momentum": 0.8, "nesterov": True}, {"nesterov": True}]),
    "rmsprop": (
        rmsprop,
        [{}, {"momentum": 0.9}, {"rho": 0.8, "centered": True}, {"momentum": 0.5, "centered": True, "epsilon": 1e-3}],
    ),
    "adagrad": (adagrad, [{}, {"initial_accumulator_value": 0.5, "epsilon": 1e-3}]),
    "adadelta": (adadelta, [{}, {"rho": 0.8, "epsilon": 1e-3}]),
    "adam": (adam, [{}, {"beta_1": 0.8, "beta_2": 0.9, "epsilon": 1e-3}, {"amsgrad": True, "beta_2": 0.7}]),
    "amsgrad": (amsgrad, [{"beta_2": 0.7}]),
    "adamw": (adamw, [{}, {"weight_decay": 0.3, "beta_1": 0.8, "amsgrad": True}]),
    "nadam": (nadam, [{}, {"beta_1": 0.8, "beta_2": 0.9, "epsilon": 1e-3}]),
    "adamax": (adamax, [{}, {"beta_1": 0.8, "beta_2": 0.9, "epsilon": 1e-3}]),
    "lion": (lion, [{}, {"beta_1": 0.8, "beta_2": 0.7}]),
}
CASES = [(name, options) for name, (_, tried) in RULES.items() for options in tried]
IDS = [f"{name}-{'-'.join(options) or 'defaults'}" for name, options in CASES]


def gradients(step, size):
    """Return the gradients of a step, counted from 0: some zero, of sizes from 1e-6 to 1e3."""
    rng = np.random.default_rng(100 + step)
    values = rng.normal(size=size) * 10.0 ** rng.integers(-6, 4, size)
    values[:: 5 + step % 3] = 0.0
    return values
