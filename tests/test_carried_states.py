"""States carried from stretch to stretch and from batch to batch: as if the sequence had been read in one go."""

import numpy as np
import pytest

import recurra
from recurra import layers

RNG = np.random.default_rng(0)
N, T, F = 4, 7, 2  # seven steps in stretches of three: the last one is shorter
X = RNG.normal(size=(N, T, F))
Z = RNG.normal(size=(N, T, F))
Y = RNG.normal(size=(N, T, 1))


def lstm(seed=1, **options):
    return recurra.LSTM(3, return_sequences=True, seed=seed, **options)


def chain():
    return recurra.Sequential([lstm(), recurra.Dense(1, seed=2)])


def chain_in_chain():
    return recurra.Sequential([recurra.Sequential([recurra.Sequential([lstm()])]), recurra.Dense(1, seed=2)])


def graph_in_chain():
    x = recurra.Input((None, F))
    inner = recurra.Model(
        x, recurra.layers.Concatenate()([lstm()(x), recurra.GRU(2, return_sequences=True, seed=4)(x)])
    )
    return recurra.Sequential([inner, recurra.Dense(1, seed=2)])


def chain_in_graph_twice():
    x, inner = recurra.Input((None, 3)), recurra.Sequential([lstm()])
    first = inner(recurra.Dense(3, seed=5)(x))
    return recurra.Sequential([recurra.Dense(3, seed=6), recurra.Model(x, inner(first)), recurra.Dense(1, seed=2)])


def shared():
    a, b, layer = recurra.Input((None, F)), recurra.Input((None, F)), lstm()
    return recurra.Model([a, b], recurra.Dense(1, seed=2)(recurra.layers.Subtract()([layer(a), layer(b)])))


def of_cells():
    cells = recurra.layers.StackedRNNCells([recurra.layers.LSTMCell(3, seed=1), recurra.layers.GRUCell(2, seed=2)])
    inner = recurra.Sequential([recurra.layers.RNN(cells, return_sequences=True)])
    return recurra.Sequential([inner, recurra.Dense(1, seed=2)])


MODELS = [chain, chain_in_chain, graph_in_chain, chain_in_graph_twice, shared, of_cells]


def inputs(make):
    return [X, Z] if make is shared else X


def compiled(make, rate=0.0):
    model = make()
    model.compile(recurra.optimizers.SGD(rate), "mse")
    return model


@pytest.mark.parametrize("lengths", [None, [7, 4, 3, 1]])
@pytest.mark.parametrize("make", MODELS)
def test_stretches_without_learning_have_the_loss_of_whole_sequences(make, lengths):
    """To 1e-5, the mean over the steps that count; a state that is lost, or another call's, is off by far more."""
    model, x = compiled(make), inputs(make)
    given = None if lengths is None else [lengths, lengths] if make is shared else lengths
    history = model.fit(x, Y, tbptt=3, batch_size=N, verbose=0, lengths=given, shuffle=False)
    assert history.history["loss"][0] == pytest.approx(model.evaluate(x, Y, lengths=given, verbose=0), rel=1e-5)


@pytest.mark.parametrize("make", MODELS)
def test_one_stretch_trains_as_whole_sequences_do(make):
    """Bit for bit."""
    whole, cut = compiled(make, 0.1), compiled(make, 0.1)
    whole.fit(inputs(make), Y, batch_size=3, epochs=2, verbose=0, seed=3)
    cut.fit(inputs(make), Y, batch_size=3, epochs=2, verbose=0, seed=3, tbptt=T)
    np.testing.assert_array_equal(whole.flat_parameters, cut.flat_parameters)


class Stream(recurra.data.Dataset):
    """Batches that continue each other, of so many rows."""

    stateful = True

    def __init__(self, rows, resets):
        self.rows, self.given = rows, resets

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        return X[: self.rows[index]], Y[: self.rows[index]]

    def resets(self, index):
        return np.array(self.given[index])


@pytest.mark.parametrize("make", [chain, chain_in_chain, graph_in_chain])
def test_evaluate_and_predict_carry_states_of_inner_models(make):
    """To 1e-6 in float32, against the same steps in one sequence."""
    model = compiled(make)
    stream = Stream([N, N], [[True] * N, [False] * N])
    whole = model.predict(np.concatenate([X, X], axis=1))
    np.testing.assert_allclose(model.predict(stream), np.concatenate([whole[:, :T], whole[:, T:]]), atol=1e-6)
    loss = np.mean(np.square(whole - np.concatenate([Y, Y], axis=1)))
    assert model.evaluate(stream, verbose=0) == pytest.approx(loss, rel=1e-5)


def test_a_batch_with_other_rows_than_the_one_it_continues_is_named():
    model = compiled(chain)
    for rows in (2, 6):
        stream = Stream([N, min(rows, N)], [[True] * N, [False] * min(rows, N)])
        if rows > N:
            stream = Stream([2, N], [[True] * 2, [False] * N])
        for verb in (model.predict, model.evaluate, model.fit):
            with pytest.raises(ValueError, match=r"^x: expected \d samples, as in the batch before, got \d; each row"):
                verb(stream, verbose=0)
    assert model.predict(Stream([N, 2], [[True] * N, [True] * 2])).shape == (N + 2, T, 1)


@pytest.mark.parametrize("resets", [[True, False], [1.0] * N, 3])
def test_resets_that_are_not_one_for_each_row_are_named(resets):
    stream = Stream([N, N], [[True] * N, resets])
    stream.resets = lambda index: stream.given[index]  # lists will do
    with pytest.raises(ValueError, match=r"^resets: expected a truth value for each of 4 samples, or None, got"):
        compiled(chain).predict(stream)
    stream.given[1] = [False] * N
    np.testing.assert_array_equal(
        compiled(chain).predict(stream), compiled(chain).predict(Stream([N, N], stream.given))
    )


@pytest.mark.parametrize("last", [layers.Flatten(), recurra.LSTM(2), layers.Permute((2, 1)), layers.Conv1D(1, 2)])
def test_outputs_that_are_not_per_step_cannot_be_cut(last):
    model = recurra.Sequential([lstm(), last.clone(), recurra.Dense(T)])
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match=r"^tbptt: expected a model with outputs per time step, got other"):
        model.fit(X, np.zeros(model.predict(X).shape), tbptt=3, verbose=0)


def test_what_cannot_be_cut_into_stretches_is_named():
    x = recurra.Input((None, F))
    y, h, c = lstm(return_state=True)(x)
    stated = recurra.Model(x, recurra.Dense(1)(lstm(4)(y, initial_state=[h, c])))
    backwards = recurra.Sequential([recurra.Sequential([lstm(go_backwards=True)]), recurra.Dense(1)])
    both = recurra.Sequential([recurra.Bidirectional(lstm()), recurra.Dense(1)])
    for model, message in [(stated, "^model: expected layers that pass no states on.*'lstm' with"),
                           (backwards, "^tbptt: expected layers that read forwards, got 'lstm'"),
                           (both, "^tbptt: expected layers that read forwards, got 'bidirectional'")]:  # fmt: skip
        model.compile("sgd", "mse")
        before = None if model is not stated else model.flat_parameters.copy()
        with pytest.raises(ValueError, match=message):
            model.fit(X, Y, tbptt=3, verbose=0)
        assert before is None or (model.flat_parameters == before).all()


def test_a_model_of_ones_own_with_states_cannot_be_cut():
    class Own(recurra.Model):
        def __init__(self):
            super().__init__()
            self.inner = recurra.LSTM(F, return_sequences=True)

        def __call__(self, x):
            return self.inner(x)

        def vjp(self, x):
            return self.inner.vjp(x)

    model = recurra.Sequential([Own(), recurra.Dense(1)])
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match=r"^model: expected a chain or graph, where states are carried, got 'own'"):
        model.fit(X, Y, tbptt=3, verbose=0)


def test_a_run_saved_between_batches_of_a_stream_goes_on_with_the_states_of_inner_models(tmp_path):
    """Bit for bit, though the second run begins with a batch that continues one of the first."""

    class Stop(recurra.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 1:
                raise KeyboardInterrupt

    stream = Stream([N] * 4, [[True] * N] + [[False] * N] * 3)
    whole, first, second = (compiled(chain_in_graph_twice, 0.1) for _ in range(3))
    whole.fit(stream, verbose=0, seed=1)
    with pytest.raises(KeyboardInterrupt):
        first.fit(stream, verbose=0, seed=1, resume=tmp_path, callbacks=[Stop()])
    second.fit(stream, verbose=0, seed=1, resume=tmp_path)
    np.testing.assert_array_equal(whole.flat_parameters, second.flat_parameters)


def test_lengths_after_an_inner_model_are_those_of_its_own_layers():
    """Up-sampling and then cropping: the number of steps is that of each layer's own input."""
    inner = recurra.Sequential([recurra.layers.UpSampling1D(2), recurra.layers.Cropping1D(1)])
    model = recurra.Sequential([inner, recurra.LSTM(2, return_sequences=True, seed=1)])
    flat = recurra.Sequential([recurra.layers.UpSampling1D(2), recurra.layers.Cropping1D(1),
                               recurra.LSTM(2, return_sequences=True, seed=1)])  # fmt: skip
    lengths = [7, 5, 2, 1]
    np.testing.assert_array_equal(model.predict(X, lengths=lengths), flat.predict(X, lengths=lengths))
    assert inner.compute_lengths(X.astype(np.float32), np.array(lengths)).tolist() == [12, 9, 3, 1]


def test_models_in_models_in_models_cost_what_their_layers_cost():
    """Thirty deep; twice the work for each level would never end."""
    model = recurra.Sequential([recurra.Dense(F, seed=1)])
    for _ in range(30):
        x = recurra.Input((None, F))
        model = recurra.Model(x, model(x))
    model.compile("sgd", "mse")
    model.train_on_batch(X, Z)
    assert model.predict(X, lengths=[7, 4, 3, 1]).shape == (N, T, F)
