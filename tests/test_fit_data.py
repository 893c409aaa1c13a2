"""What fit takes: arrays, ragged lists, batches, weights; and truncated backpropagation through time."""

import numpy as np
import pytest

import recurra
from recurra.training import data

RNG = np.random.default_rng(1)
X = RNG.normal(size=(10, 6, 3))
Y = RNG.normal(size=(10, 1))
STEPS = RNG.normal(size=(10, 6, 2))
LENGTHS = np.array([6, 1, 3, 5, 2, 6, 4, 3, 2, 1])


def model(sequences=False, outputs=1, seed=3, **options):
    made = recurra.Sequential(
        [
            recurra.GRU(4, return_sequences=sequences, seed=seed, **options),
            recurra.Dense(outputs, seed=seed),
        ]
    )
    made.compile(recurra.optimizers.SGD(0.1), "mse")
    return made


def trained(*arguments, sequences=False, outputs=1, **options):
    made = model(sequences, outputs)
    made.fit(*arguments, **{"verbose": 0, "seed": 5, "epochs": 2, **options})
    return made.flat_parameters.copy()


class Batches:
    """A data set by number, as Keras's PyDataset."""

    def __init__(self, x, y, size, weight=None):
        self.parts = [tuple(a[i : i + size] for a in (x, y, weight) if a is not None) for i in range(0, len(x), size)]
        self.ended = 0

    def __len__(self):
        return len(self.parts)

    def __getitem__(self, number):
        return self.parts[number]

    def on_epoch_end(self):
        self.ended += 1


def test_batches_by_number_train_as_the_array():
    data = Batches(X, Y, 4)
    np.testing.assert_array_equal(trained(data), trained(X, Y, batch_size=4, shuffle=False))
    assert data.ended == 2


def test_an_iterable_that_can_be_read_again_trains_as_the_array():
    class Again:
        def __iter__(self):
            return iter(Batches(X, Y, 4).parts)

    np.testing.assert_array_equal(trained(Again()), trained(X, Y, batch_size=4, shuffle=False))


def test_a_generator_needs_steps_per_epoch_for_more_epochs():
    def endless():
        while True:
            yield from Batches(X, Y, 4).parts

    np.testing.assert_array_equal(trained(endless(), steps_per_epoch=3), trained(X, Y, batch_size=4, shuffle=False))
    with pytest.raises(ValueError, match=r"x: expected batches for epoch 2, got none; a generator is used up"):
        trained(iter(Batches(X, Y, 4).parts))


def test_steps_per_epoch_goes_on_where_the_last_epoch_ended():
    whole = trained(X, Y, batch_size=2, shuffle=False, epochs=1)
    np.testing.assert_array_equal(whole, trained(X, Y, batch_size=2, shuffle=False, steps_per_epoch=1, epochs=5))


def test_a_ragged_list_trains_as_the_padded_array_with_lengths():
    ragged = [x[:n] for x, n in zip(X, LENGTHS, strict=True)]
    np.testing.assert_array_equal(trained(ragged, Y), trained((X, LENGTHS), Y))
    targets = [y[:n] for y, n in zip(STEPS, LENGTHS, strict=True)]
    by_steps = {"sequences": True, "outputs": 2}
    np.testing.assert_array_equal(trained(ragged, targets, **by_steps), trained((X, LENGTHS), STEPS, **by_steps))


def test_a_sample_of_weight_zero_might_as_well_not_be_there():
    """Up to the divisor, which counts it: 10 samples instead of 8."""
    weight = np.ones(10)
    weight[[2, 7]] = 0.0
    kept = weight > 0
    one = {"batch_size": 10, "epochs": 1, "shuffle": False}
    before = model()
    before.build((None, None, 3))
    start = before.flat_parameters.copy()
    with_zeros = trained(X, Y, sample_weight=weight, **one) - start
    without = trained(X[kept], Y[kept], **one) - start
    np.testing.assert_allclose(with_zeros * 10, without * 8, rtol=1e-4, atol=1e-6)


def test_class_weights_multiply_the_weights_of_samples():
    labels = np.arange(10) % 3

    def fitted(**options):
        made = model(outputs=3)
        made.compile(recurra.optimizers.SGD(0.1), recurra.losses.SparseCategoricalCrossentropy(from_logits=True))
        made.fit(X, labels, epochs=2, verbose=0, seed=1, **options)
        return made.flat_parameters

    by_class = fitted(class_weight={0: 2.0, 2: 0.5})
    np.testing.assert_array_equal(by_class, fitted(sample_weight=np.array([2.0, 1.0, 0.5])[labels]))
    both = fitted(class_weight={0: 2.0, 2: 0.5}, sample_weight=np.full(10, 3.0))
    np.testing.assert_array_equal(both, fitted(sample_weight=3.0 * np.array([2.0, 1.0, 0.5])[labels]))


def test_weights_of_steps_count():
    weight = np.ones((10, 6))
    weight[:, 3:] = 0.0
    made = model(True, 2)
    loss = made.evaluate(X, STEPS, sample_weight=weight, verbose=0)
    first = made.evaluate(X[:, :3], STEPS[:, :3], verbose=0)
    assert loss == pytest.approx(first / 2, rel=1e-6)  # half the steps, and all of them are counted


def test_validation_data_may_be_batches_and_have_weights():
    made = model()
    history = made.fit(X, Y, epochs=2, verbose=0, validation_data=Batches(X, Y, 3)).history
    assert history["val_loss"][-1] == pytest.approx(made.evaluate(X, Y, verbose=0), rel=1e-6)
    weight = np.arange(10.0)
    history = made.fit(X, Y, epochs=4, verbose=0, validation_data=(X, Y, weight), validation_freq=2).history
    assert history["val_loss"][-1] == pytest.approx(made.evaluate(X, Y, sample_weight=weight, verbose=0), rel=1e-6)
    assert len(history["val_loss"]) == 2


def test_batches_are_evaluated_and_predicted():
    made = model()
    assert made.evaluate(Batches(X, Y, 3), verbose=0) == pytest.approx(made.evaluate(X, Y, verbose=0), rel=1e-6)
    np.testing.assert_array_equal(made.predict(Batches(X, Y, 3)), made.predict(X))
    np.testing.assert_array_equal(made.predict(X[i : i + 2] for i in range(0, 10, 2)), made.predict(X))


def test_truncated_backpropagation_carries_the_state_and_cuts_the_gradient():
    """By hand: a step for each stretch, from the states that the one before left."""
    fitted = trained(X, STEPS, sequences=True, outputs=2, tbptt=4, batch_size=5, shuffle=False, epochs=1)
    made = model(True, 2)
    made.build((None, None, 3))
    gru, dense = made.layers
    optimizer, loss = recurra.optimizers.SGD(0.1), recurra.losses.MeanSquaredError()
    x, y = X.astype(np.float32), STEPS.astype(np.float32)
    for rows in (slice(0, 5), slice(5, 10)):
        state = np.zeros((5, 4), np.float32)
        for part in (slice(0, 4), slice(4, 6)):
            gru.return_state = True
            (hidden, state_after), back = gru.vjp(np.ascontiguousarray(x[rows, part]), initial_state=state)
            gru.return_state = False
            outputs, pullback = dense.vjp(hidden)
            made.zero_gradients()
            back(pullback(loss.vjp(y[rows, part], outputs)[1]))
            optimizer.step(made)
            state = state_after
    np.testing.assert_array_equal(fitted, made.flat_parameters)


def test_truncated_backpropagation_over_whole_sequences_is_the_ordinary_kind():
    options = {"sequences": True, "outputs": 2, "lengths": LENGTHS}
    np.testing.assert_array_equal(trained(X, STEPS, tbptt=6, **options), trained(X, STEPS, **options))


def test_truncated_backpropagation_needs_outputs_per_step():
    with pytest.raises(ValueError, match=r"tbptt: expected a model with outputs per time step"):
        trained(X, Y, tbptt=3)


def test_truncated_backpropagation_refuses_losses_of_whole_sequences():
    made = recurra.Sequential([recurra.GRU(3, return_sequences=True), recurra.Dense(2), recurra.CRF(2)])
    made.compile("adam", "linear_chain_crf")
    with pytest.raises(ValueError, match=r"tbptt: expected none with linear_chain_crf, got 3"):
        made.fit(X, np.zeros((10, 6), int), tbptt=3, verbose=0)


def test_a_stream_of_batches_carries_states_over_and_resets_rows():
    """Rows that go on from batch to batch train as one long sequence in stretches."""
    long = RNG.normal(size=(4, 12, 3))
    targets = RNG.normal(size=(4, 12, 2))

    class Stream(Batches):
        stateful = True

        def __init__(self):
            super().__init__(X, Y, 4)
            self.parts = [(long[:, i : i + 3], targets[:, i : i + 3]) for i in range(0, 12, 3)]

        def resets(self, number):
            return np.full(4, number == 0)

    as_stream = trained(Stream(), sequences=True, outputs=2)
    by_stretches = trained(long, targets, sequences=True, outputs=2, tbptt=3, shuffle=False)
    np.testing.assert_array_equal(as_stream, by_stretches)


@pytest.mark.parametrize("kind", ["numbered", "iterable"])
def test_stateful_batches_go_on_within_an_epoch_where_nothing_says_otherwise(kind):
    long, targets = RNG.normal(size=(4, 12, 3)), RNG.normal(size=(4, 12, 2))
    parts = [(long[:, i : i + 3], targets[:, i : i + 3]) for i in range(0, 12, 3)]

    class Numbered(Batches):
        stateful = True

        def __init__(self):
            super().__init__(X, Y, 4)
            self.parts = parts

    class Iterable:
        stateful = True

        def __iter__(self):
            return iter(parts)

    found = trained(Numbered() if kind == "numbered" else Iterable(), sequences=True, outputs=2)
    by_stretches = trained(long, targets, sequences=True, outputs=2, tbptt=3, shuffle=False)
    np.testing.assert_array_equal(found, by_stretches)


def test_regularizers_and_constraints_act_in_training():
    class Shrink:
        def vjp(self, w):
            return 0.5 * float((w**2).sum()), w

        def get_config(self):
            return {}

    class Scale(recurra.layers.Layer):
        def build(self, input_shape):
            super().build(input_shape)
            self.add_weight("scale", (input_shape[-1],), "ones", regularizer=Shrink(), constraint=lambda w: w.clip(0.9))

        def __call__(self, x):
            self.ensure_built(x.shape)
            return x * self.parameters["scale"]

        def vjp(self, x):
            def pullback(dy, *, need_dx=True):
                self.gradients["scale"] += (x * dy).sum(axis=(0, 1))
                return dy * self.parameters["scale"]

            return self(x), pullback

    made = recurra.Sequential([Scale()])
    made.compile(recurra.optimizers.SGD(0.01), "mse")
    history = made.fit(np.zeros((4, 2, 3)), np.zeros((4, 2, 3)), epochs=3, verbose=0)
    assert history.history["loss"][0] == pytest.approx(1.5)  # the penalty of three ones
    np.testing.assert_allclose(made.parameters["scale.scale"], 0.99**3, rtol=1e-5)
    made.fit(np.zeros((4, 2, 3)), np.zeros((4, 2, 3)), epochs=30, verbose=0)
    np.testing.assert_allclose(made.parameters["scale.scale"], 0.9)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((X,), {}, r"x: .*|y: expected targets, got none"),
        ((X, Y), {"sample_weight": np.ones(9)}, r"sample_weight: expected shape \(10,\)"),
        ((X, Y), {"sample_weight": -np.ones(10)}, r"sample_weight: expected finite numbers of at least 0"),
        ((X, Y), {"class_weight": [1, 2]}, r"class_weight: expected a dictionary"),
        ((X, Y), {"steps_per_epoch": 0}, r"steps_per_epoch: expected"),
        ((X, Y), {"tbptt": 0}, r"tbptt: expected"),
        ((X, Y), {"validation_data": (X,)}, r"validation_data: expected the pair"),
        (([x[:n] for x, n in zip(X, LENGTHS, strict=True)], Y), {"lengths": LENGTHS}, r"lengths: expected none"),
        (([X[0], X[1][:, :2], X[2][:1]], Y[:3]), {}, r"x\[1\]: expected steps of shape \(3,\), got \(2,\)"),
        ((Batches(X, Y, 4),), {"batch_size": 3}, r"batch_size: expected none with batches"),
        ((Batches(X, Y, 4),), {"validation_split": 0.5}, r"validation_split: expected none with batches"),
        ((X[:0], Y[:0]), {}, r"x: expected at least one sample, got none"),
        ((X, Y[:9]), {}, r"y: expected"),
    ],
)
def test_mistakes_are_named_and_change_nothing(arguments, options, message):
    made = model()
    made.build((None, None, 3))
    kept = made.flat_parameters.copy()
    with pytest.raises((TypeError, ValueError), match=message):
        made.fit(*arguments, verbose=0, **options)
    np.testing.assert_array_equal(made.flat_parameters, kept)


@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "sum", "mean_per_sequence"])
def test_a_model_ignores_the_class_that_its_loss_ignores(reduction):
    """To 1e-6, against the loss called on the model's outputs."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(4, 5, 2)), rng.integers(-1, 3, (4, 5))
    loss = recurra.losses.SparseCategoricalCrossentropy(ignore_class=-1, reduction=reduction)
    model = recurra.Sequential([recurra.Dense(3, activation="softmax", seed=1)])
    model.compile("sgd", loss)
    expected = loss(y, model.predict(x))
    assert model.evaluate(x, y, verbose=0) == pytest.approx(expected, rel=1e-6)
    assert model.train_on_batch(x, y) == pytest.approx(expected, rel=1e-6)


def test_losses_of_several_outputs_do_not_depend_on_the_size_of_batches():
    """To 1e-6: each output's loss is a mean over its own rows, which differ in number from batch to batch."""
    rng, x = np.random.default_rng(0), recurra.Input((None, 2))
    steps = recurra.LSTM(3, return_sequences=True, seed=1, kernel_regularizer="l2")(x)
    last = recurra.Dense(1, seed=3)(recurra.LSTM(2, seed=2)(steps))
    model = recurra.Model(x, {"steps": recurra.Dense(1, seed=4)(steps), "last": last})
    model.compile("sgd", "mse", loss_weights={"last": 2.0}, metrics={"last": "mse"})
    given, y = rng.normal(size=(6, 5, 2)), {"steps": rng.normal(size=(6, 5, 1)), "last": rng.normal(size=(6, 1))}
    options = {"lengths": [5, 1, 2, 3, 1, 1], "verbose": 0, "return_dict": True}
    whole, cut = (model.evaluate(given, y, batch_size=size, **options) for size in (6, 2))
    assert cut == pytest.approx(whole, rel=1e-6)
    penalty = model._penalty()
    assert penalty > 0
    assert cut["loss"] == pytest.approx(cut["steps_loss"] + 2.0 * cut["last_loss"] + penalty, rel=1e-6)
    assert cut["last_loss"] == pytest.approx(cut["last_mse"] if "last_mse" in cut else cut["last_mean_squared_error"])


@pytest.mark.parametrize("room", [1, 100, 10**9])
@pytest.mark.parametrize("first", [0, 1, 3])
def test_shuffled_batches_are_the_rows_of_their_order_however_many_are_gathered_at_once(monkeypatch, room, first):
    monkeypatch.setattr(data, "GATHERED", room)
    x, y = np.arange(44.0, dtype=np.float32).reshape(22, 2), np.arange(22)
    samples = data.Samples([x], [y], [None], [y * 0.5])
    order = np.random.default_rng(0).permutation(22)
    starts = range(first * 4, 22, 4)
    for start, batch in zip(starts, samples.batches(4, order, first), strict=True):
        rows = order[start : start + 4]
        np.testing.assert_array_equal(batch.x[0], x[rows])
        np.testing.assert_array_equal(batch.y[0], y[rows])
        np.testing.assert_array_equal(batch.weights[0], y[rows] * 0.5)
        assert batch.lengths == [None]
