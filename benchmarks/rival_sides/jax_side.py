"""JAX: one compiled function, the input product hoisted out of a scan over time."""

import numpy as np

from recurra.bench.cases import Case
from recurra.bench.sides import Prepared

from .common import flat, parameters, stepping, suffixes, time_major, use_only_these_cpus, valid


def serves(case: Case) -> bool:
    """Everything but ragged stacks and layer normalisation in the cell."""
    options = {name for name, _ in case.options}
    return options <= {"proj_size", "use_peepholes"} and not (case.ragged and (case.bidirectional or case.layers > 1))


def prepare(case: Case) -> Prepared:
    """Prepare the compiled function."""
    use_only_these_cpus()
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", case.dtype == "float64")
    sigmoid = jax.nn.sigmoid
    data = case.data()
    weights = {name: jnp.asarray(value) for name, value in parameters(case).items()}
    x, dy = jnp.asarray(time_major(data.x)), jnp.asarray(time_major(data.dy))
    counts = valid(case)
    mask = None if counts is None else jnp.asarray(np.ascontiguousarray(counts.transpose(1, 0, 2)))

    def lstm(p, way, state, z):
        h, c = state
        z = z + h @ p["weight_hh" + way].T + p["bias_hh" + way]
        i, f, g, o = jnp.split(z, 4, axis=-1)
        if "weight_ph" + way in p:
            pi, pf, po = jnp.split(p["weight_ph" + way], 3)
            i, f = i + pi * c, f + pf * c
        c = sigmoid(f) * c + sigmoid(i) * jnp.tanh(g)
        h = sigmoid(o + po * c if "weight_ph" + way in p else o) * jnp.tanh(c)
        if "weight_hr" + way in p:
            h = h @ p["weight_hr" + way].T
        return h, c

    def gru(p, way, state, z):
        (h,) = state
        u = h @ p["weight_hh" + way].T + p["bias_hh" + way]
        (zr, zz, zn), (ur, uz, un) = jnp.split(z, 3, axis=-1), jnp.split(u, 3, axis=-1)
        r, update = sigmoid(zr + ur), sigmoid(zz + uz)
        n = jnp.tanh(zn + r * un)
        return ((1 - update) * n + update * h,)

    def rnn(p, way, state, z):
        return (jnp.tanh(z + state[0] @ p["weight_hh" + way].T + p["bias_hh" + way]),)

    cell = {"lstm": lstm, "gru": gru, "rnn": rnn}[case.cell]
    width = dict(case.options).get("proj_size", case.units)

    def start():
        h = jnp.zeros((case.rows, width), x.dtype)
        return (h, jnp.zeros((case.rows, case.units), x.dtype)) if case.cell == "lstm" else (h,)

    def direction(p, way, x, backwards):
        def step(state, at):
            z, counted = at
            new = cell(p, way, state, z)
            if counted is None:
                return new, new[0]
            return tuple(jnp.where(counted, a, b) for a, b in zip(new, state, strict=True)), new[0] * counted

        z = x @ p["weight_ih" + way].T + p["bias_ih" + way]
        return jax.lax.scan(step, start(), (z, mask), reverse=backwards)[1]

    def network(p, x):
        for ways in suffixes(case):
            x = jnp.concatenate([direction(p, way, x, way.endswith("reverse")) for way in ways], axis=-1)
        return x

    @jax.jit
    def forward(p, x):
        return network(p, x)

    @jax.jit
    def training(p, x, dy):
        y, pullback = jax.vjp(network, p, x)
        return (y, *pullback(dy))

    if case.stream:
        return _stream(jax, cell, weights, x[0], start)

    def run():
        return jax.block_until_ready(training(weights, x, dy) if case.training else forward(weights, x))

    def outputs():
        if not case.training:
            return (time_major(np.asarray(run())),)
        y, gradients, dx = run()
        return time_major(np.asarray(y)), time_major(np.asarray(dx)), flat(case, gradients)

    return Prepared(run, outputs)


def _stream(jax, cell, weights, x, start) -> Prepared:
    @jax.jit
    def advance(p, state, x):
        return cell(p, "_l0", state, x @ p["weight_ih_l0"].T + p["bias_ih_l0"])

    state = [start()]

    def step():
        state[0] = advance(weights, state[0], x)
        return jax.block_until_ready(state[0][0])

    def reset():
        state[0] = start()

    return stepping(step, reset)
