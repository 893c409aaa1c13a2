"""RNN, LSTM and GRU as the text of ONNX's specification says them, step by step in float64; and random cases of them.

Where the text says nothing (a row of length 0) ONNX Runtime's answer is taken: final states of 0.
"""

from dataclasses import dataclass, field

import numpy as np

import onnx_models as make

GATES = {"RNN": 1, "LSTM": 4, "GRU": 3}
FUNCTIONS = {"RNN": 1, "LSTM": 3, "GRU": 2}
INPUTS = {
    "RNN": ("X", "W", "R", "B", "sequence_lens", "initial_h"),
    "GRU": ("X", "W", "R", "B", "sequence_lens", "initial_h"),
    "LSTM": ("X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P"),
}
# Formula, and how many of alpha and beta it takes.
ACTIVATIONS = {
    "Relu": (lambda x, a, b: np.maximum(x, 0), 0),
    "Tanh": (lambda x, a, b: np.tanh(x), 0),
    "Sigmoid": (lambda x, a, b: 1 / (1 + np.exp(-x)), 0),
    "Affine": (lambda x, a, b: a * x + b, 2),
    "LeakyRelu": (lambda x, a, b: np.where(x >= 0, x, a * x), 1),
    "ThresholdedRelu": (lambda x, a, b: np.where(x > a, x, 0), 1),
    "ScaledTanh": (lambda x, a, b: a * np.tanh(b * x), 2),
    "HardSigmoid": (lambda x, a, b: np.minimum(np.maximum(a * x + b, 0), 1), 2),
    "Elu": (lambda x, a, b: np.where(x >= 0, x, a * (np.exp(np.minimum(x, 0)) - 1)), 1),
    "Softsign": (lambda x, a, b: x / (1 + abs(x)), 0),
    "Softplus": (lambda x, a, b: np.log(1 + np.exp(x)), 0),
}
DEFAULTS = {"RNN": ["Tanh"], "LSTM": ["Sigmoid", "Tanh", "Tanh"], "GRU": ["Sigmoid", "Tanh"]}


@dataclass
class Case:
    """A recurrent node: its operator, attributes, inputs by name, version, and which of W, R, B, P are constants."""

    op: str
    attributes: dict = field(default_factory=dict)
    inputs: dict = field(default_factory=dict)
    opset: int = 17
    outputs: tuple = ("Y", "Y_h", "Y_c")
    constant: bool = True

    def model(self):
        from onnx import helper

        names = [name if name in self.inputs else "" for name in INPUTS[self.op]]
        while not names[-1]:
            names.pop()
        node = helper.make_node(self.op, names, list(self.outputs), "node", **self.attributes)
        held = {name: self.inputs[name] for name in "WRBP" if name in self.inputs} if self.constant else {}
        free = [(name, array.shape, array.dtype) for name, array in self.inputs.items() if name not in held]
        dtype = self.inputs["X"].dtype
        made = [(name, None, dtype) for name in self.outputs if name]
        return make.model([node], free, made, held, self.opset)

    def feeds(self):
        held = "WRBP" if self.constant else ""
        return {name: array for name, array in self.inputs.items() if name not in held}

    def expected(self):
        """The outputs of the specification that the case asks for, in float64."""
        results = dict(zip(("Y", "Y_h", "Y_c"), specified(self.op, self.attributes, self.inputs), strict=False))
        return [results[name] for name in self.outputs if name]


def functions(op, attributes, direction):
    """The activations f, g, h of a direction, alphas and betas consumed in order by those that take them."""
    names = attributes.get("activations") or DEFAULTS[op] * 2
    alphas, betas = list(attributes.get("activation_alpha", ())), list(attributes.get("activation_beta", ()))
    found = []
    for name in names:
        formula, count = ACTIVATIONS[name]
        alpha = float(np.float32(alphas.pop(0) if count > 0 else 0))
        beta = float(np.float32(betas.pop(0) if count > 1 else 0))
        found.append(lambda x, formula=formula, a=alpha, b=beta: formula(x, a, b))
    each = FUNCTIONS[op]
    return found[direction * each : (direction + 1) * each]


def specified(op, attributes, inputs):
    """Y, Y_h and, of an LSTM, Y_c."""
    wide = {name: array.astype(np.float64) for name, array in inputs.items() if name != "sequence_lens"}
    batch_first = attributes.get("layout", 0) == 1
    x = wide["X"].swapaxes(0, 1) if batch_first else wide["X"]
    steps, rows, _ = x.shape
    units, directions = wide["R"].shape[2], len(wide["R"])
    lengths = inputs.get("sequence_lens", np.full(rows, steps))
    clip = float(np.float32(attributes.get("clip", np.inf)))
    shape = (rows, directions, units) if batch_first else (directions, rows, units)
    y = np.zeros((steps, directions, rows, units))
    finals = [np.zeros((directions, rows, units)) for _ in "hc"]
    for d in range(directions):
        backwards = attributes.get("direction") == "reverse" or d == 1
        step = STEPS[op](attributes, {name: array[d] for name, array in wide.items() if name in "WRBP"}, units, clip, d)
        for n in range(rows):
            states = []
            for name in ("initial_h", "initial_c"):
                start = wide.get(name, np.zeros(shape))
                states.append(start[n, d] if batch_first else start[d, n])
            order = range(lengths[n])
            for t in reversed(order) if backwards else order:
                states = step(x[t, n], *states)
                y[t, d, n] = states[0]
            for final, state in zip(finals, states, strict=True):
                final[d, n] = state if lengths[n] else 0
    if batch_first:
        y, finals = y.transpose(2, 0, 1, 3), [final.swapaxes(0, 1) for final in finals]
    return (y, *finals) if op == "LSTM" else (y, finals[0])


def products(weights, units, gates):
    w, r = weights["W"], weights["R"]
    b = weights.get("B", np.zeros(2 * gates * units))
    return w, r, b[: gates * units], b[gates * units :]


def rnn(attributes, weights, units, clip, d):
    (f,) = functions("RNN", attributes, d)
    w, r, wb, rb = products(weights, units, 1)
    return lambda x, h, c: (f(np.clip(w @ x + r @ h + wb + rb, -clip, clip)), c)


def lstm(attributes, weights, units, clip, d):
    f, g, h_ = functions("LSTM", attributes, d)
    w, r, wb, rb = products(weights, units, 4)
    pi, po, pf = np.split(weights.get("P", np.zeros(3 * units)), 3)
    coupled = attributes.get("input_forget", 0)

    def step(x, h, c):
        zi, zo, zf, zc = np.split(w @ x + r @ h + wb + rb, 4)
        it = f(np.clip(zi + pi * c, -clip, clip))
        ft = 1 - it if coupled else f(np.clip(zf + pf * c, -clip, clip))
        new = ft * c + it * g(np.clip(zc, -clip, clip))
        return f(np.clip(zo + po * new, -clip, clip)) * h_(new), new

    return step


def gru(attributes, weights, units, clip, d):
    f, g = functions("GRU", attributes, d)
    w, r, wb, rb = products(weights, units, 3)

    def step(x, h, c):
        az, ar, ah = np.split(w @ x + wb, 3)
        uz, ur, uh = np.split(r @ h + rb, 3)
        z, gate = f(np.clip(az + uz, -clip, clip)), f(np.clip(ar + ur, -clip, clip))
        if attributes.get("linear_before_reset", 0):
            inner = ah + gate * uh
        else:
            inner = ah + r[2 * units :] @ (gate * h) + rb[2 * units :]
        return (1 - z) * g(np.clip(inner, -clip, clip)) + z * h, c

    return step


STEPS = {"RNN": rnn, "LSTM": lstm, "GRU": gru}


def random_case(seed):
    """A random node over the whole specification; alphas and betas are given wherever they are taken."""
    random = np.random.default_rng(seed)

    def chance(p=0.5):
        return random.random() < p

    op = str(random.choice(list(GATES)))
    opset = int(random.choice([7, 8, 9, 11, 13, 14, 15, 17, 18, 20, 21, 22, 23]))
    direction = str(random.choice(["forward", "reverse", "bidirectional"]))
    directions = 2 if direction == "bidirectional" else 1
    steps, rows, features, units = (int(random.integers(1, high)) for high in (8, 6, 12, 20))
    attributes = {"hidden_size": units, "direction": direction}
    if opset >= 14 and chance(0.3):
        attributes["layout"] = 1
    if chance(0.3):
        attributes["clip"] = float(random.uniform(0.2, 2))
    if op == "LSTM" and chance(0.3):
        attributes["input_forget"] = 1
    if op == "GRU" and chance():
        attributes["linear_before_reset"] = 1
    if chance():
        attributes |= random_activations(random, op, directions)
        if unbounded_gates(op, attributes):  # lest the state, and with it every rounding error, explodes
            attributes["clip"] = min(attributes.get("clip", 1.0), 1.0)
    dtype = np.float64 if chance(0.3) else np.float32
    inputs = random_inputs(random, op, (steps, rows, features, units, directions), attributes.get("layout", 0), dtype)
    outputs = ["Y", "Y_h", "Y_c"][: 3 if op == "LSTM" else 2]
    if chance(0.2):
        outputs[int(random.integers(len(outputs)))] = ""
    if not any(outputs):
        outputs[0] = "Y"
    return Case(op, attributes, inputs, opset, tuple(outputs), constant=chance(0.8))


def random_activations(random, op, directions):
    names = [str(random.choice(list(ACTIVATIONS))) for _ in range(FUNCTIONS[op] * directions)]
    counts = [ACTIVATIONS[name][1] for name in names]
    found = {"activations": names}
    for attribute, place in (("activation_alpha", 0), ("activation_beta", 1)):
        values = [round(float(random.uniform(0.1, 0.6)), 3) for count in counts if count > place]
        if values:
            found[attribute] = values
    return found


def unbounded_gates(op, attributes):
    names = attributes["activations"]
    gates = names[:: FUNCTIONS[op]] if op != "RNN" else names
    return bool(set(gates) - {"Sigmoid", "HardSigmoid", "Tanh", "Softsign", "ScaledTanh"})


def random_inputs(random, op, sizes, layout, dtype):
    steps, rows, features, units, directions = sizes

    def normal(*shape, scale=0.5):
        return (random.normal(size=shape) * scale).astype(dtype)

    gates = GATES[op]
    state = (rows, directions, units) if layout else (directions, rows, units)
    inputs = {
        "X": normal(*((rows, steps, features) if layout else (steps, rows, features)), scale=1),
        "W": normal(directions, gates * units, features),
        "R": normal(directions, gates * units, units, scale=0.3),
    }
    if random.random() < 0.8:
        inputs["B"] = normal(directions, 2 * gates * units)
    if random.random() < 0.5:
        inputs["sequence_lens"] = random.integers(0, steps + 1, rows).astype(np.int32)
    if random.random() < 0.5:
        inputs["initial_h"] = normal(*state)
    if op == "LSTM" and random.random() < 0.5:
        inputs["initial_c"] = normal(*state)
    if op == "LSTM" and random.random() < 0.4:
        inputs["P"] = normal(directions, 3 * units)
    return inputs
