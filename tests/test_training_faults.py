"""Training that is disturbed: by bad batches, errors, interrupts and other threads, it leaves a model that is whole."""

import gc
import os
import signal
import threading
import time

import numpy as np
import pytest

import recurra
from recurra import layers, optimizers
from recurra.training.interrupt import Guard, exclusively

RNG = np.random.default_rng(0)
WORDS = RNG.integers(0, 30, (12, 4, 5))
STEPS = RNG.normal(size=(12, 4, 5, 2))


def model_of_words():
    """Everything that a step changes besides parameters: statistics, slots, averages, touched rows."""
    words = recurra.Input((None,), dtype="int64", name="words")
    table = recurra.Embedding(30, 3, seed=1)
    hidden = layers.BatchNormalization()(recurra.LSTM(4, return_sequences=True, seed=2)(table(words)))
    skipped = layers.Concatenate()([hidden, table(words)])
    model = recurra.Model(words, recurra.Dense(2, seed=3)(skipped))
    model.compile(optimizers.Adam(0.01, use_ema=True), "mse")
    return model


def state(model):
    slots = model.optimizer.slots
    return [model.flat_parameters.copy(), *(slots[name].copy() for name in sorted(slots)), model.optimizer.iterations]


def same(one, other):
    return len(one) == len(other) and all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def after(batches):
    model = model_of_words()
    for x, y in zip(WORDS[:batches], STEPS[:batches], strict=True):
        model.train_on_batch(x, y)
    return model


# Batches


def good():
    yield from zip(WORDS[:2], STEPS[:2], strict=True)


def wrong_x():
    yield from good()
    yield WORDS[2] + 100, STEPS[2]


def wrong_shape():
    yield from good()
    yield WORDS[2], STEPS[2][:, :, :1]


def wrong_count():
    yield from good()
    yield WORDS[2], STEPS[2][:2]


def no_pair():
    yield from good()
    yield WORDS[2]


def nothing():
    yield from good()
    yield None


def not_a_number():
    yield from good()
    yield WORDS[2], STEPS[2] * np.nan


def broken():
    yield from good()
    raise OSError("the disk is gone")


class Numbered:
    """The same batches by number."""

    def __init__(self, batches):
        self.batches = batches

    def __len__(self):
        return 4

    def __getitem__(self, index):
        batches = self.batches()
        for _ in range(index):
            next(batches)
        return next(batches)


@pytest.mark.parametrize("numbered", [False, True])
@pytest.mark.parametrize(
    ("batches", "error", "message"),
    [(wrong_x, ValueError, "^x: expected integers from 0 to 29, got 1"),
     (wrong_shape, ValueError, r"^y: expected shape \(4, 5, 2\), got \(4, 5, 1\)"),
     (wrong_count, ValueError, r"^y: expected shape \(4, 5, 2\), got \(2, 5, 2\)"),
     (no_pair, TypeError, r"^x: expected batches \(x, y\) or \(x, y, sample_weight\)"),
     (nothing, TypeError, r"^x: expected batches \(x, y\) or \(x, y, sample_weight\)"),
     (not_a_number, ValueError, "in epoch 1, batch 3"), (broken, OSError, "^the disk is gone")],
)  # fmt: skip
def test_after_a_bad_third_batch_the_model_is_as_after_the_second(batches, error, message, numbered):
    model = model_of_words()
    with pytest.raises(error, match=message) as raised:
        model.fit(Numbered(batches) if numbered else batches(), verbose=0)
    assert same(state(model), state(after(2)))
    assert batches is not_a_number or raised.value.__notes__ == ["in batch 3 of epoch 1"]
    model.train_on_batch(WORDS[2], STEPS[2])
    assert same(state(model), state(after(3)))


@pytest.mark.parametrize("verb", ["fit", "evaluate", "predict"])
def test_a_data_set_without_batches_is_named(verb):
    class Empty:
        def __len__(self):
            return 0

        def __getitem__(self, index):
            raise IndexError(index)

    model = model_of_words()
    options = [{"verbose": 0}] + ([{"verbose": 0, "steps_per_epoch": 3}] if verb == "fit" else [])
    for given in options:
        with pytest.raises(ValueError, match=r"^x: expected at least one batch, got an empty data set"):
            getattr(model, verb)(Empty(), **given)


# Errors within a step


class Fuse(layers.Layer):
    """Passes everything on; its pullback blows when told so."""

    blown = False

    def __call__(self, x):
        return x

    def vjp(self, x):
        def pullback(dy, *, need_dx=True):
            if self.blown:
                raise RuntimeError("blown")
            return dy

        return x, pullback


def test_a_pullback_that_fails_leaves_the_model_as_it_was():
    """Also the statistics of layers behind it, and the gradients of a table: the next step is that of a clean model."""

    def make():
        fuse = Fuse()
        model = recurra.Sequential([
            recurra.Embedding(30, 3, seed=1), fuse, recurra.Dense(3, seed=2),
            layers.BatchNormalization(), recurra.Dense(2, seed=3),
        ])  # fmt: skip
        model.compile(optimizers.Adam(0.01), "mse")
        model.train_on_batch(WORDS[0], STEPS[0])
        return model, fuse

    (model, fuse), (clean, _) = make(), make()
    before, fuse.blown = state(model), True
    with pytest.raises(RuntimeError, match="blown"):
        model.train_on_batch(WORDS[1], STEPS[1])
    assert same(state(model), before)
    fuse.blown = False
    for one in (model, clean):
        one.train_on_batch(WORDS[2], STEPS[2])
    assert same(state(model), state(clean))


# Interrupts


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs timers of POSIX")
def test_ctrl_c_at_any_moment_leaves_the_model_as_after_some_batch():
    """Forty interrupts at growing delays: state as after a number of batches, and the rest as if nothing had been."""
    whole, states = model_of_words(), []
    record = recurra.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: states.append(state(whole)))
    x, y = WORDS.reshape(-1, 5), STEPS.reshape(-1, 5, 2)
    options = {"batch_size": 4, "verbose": 0, "shuffle": False}
    whole.fit(x, y, callbacks=[record], **options)
    states.insert(0, state(model_of_words()))

    hit = 0
    for attempt in range(40):
        model = model_of_words()
        hit += interrupted(lambda model=model: model.fit(x, y, **options), 1e-4 + attempt * 7.3e-5)
        found = state(model)
        done = found[-1]
        if done == len(WORDS):  # at the end of training the averages are put in place
            assert same(found, states[done]) or same(found, state(whole))
            continue
        assert not done or same(found, states[done])
        assert model.history is None or not model.history.history.get("loss")
        for words, steps in zip(WORDS[done:], STEPS[done:], strict=True):
            model.train_on_batch(words, steps)
        assert same(state(model), states[-1])
    assert hit >= 5


def interrupted(call, delay):
    """Send SIGINT after a while, and return whether it came before the end of the call."""
    before = signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGINT))
    gc.disable()  # what is raised in a hook of the collector is lost, and Hypothesis has one
    try:
        signal.setitimer(signal.ITIMER_REAL, delay)
        try:
            call()
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    except KeyboardInterrupt:
        return True
    finally:
        gc.enable()
        signal.signal(signal.SIGALRM, before)
    return False


def test_an_interrupt_before_training_begins_does_not_wait_for_its_end():
    """What an outer guard held back is due in the next one."""
    reached = []
    try:
        with Guard() as outer:
            outer.hold()
            os.kill(os.getpid(), signal.SIGINT)
            with Guard() as inner:
                inner.release()
                reached.append("the first batch")
    except KeyboardInterrupt:
        reached.append("the interrupt")
    assert reached == ["the interrupt"]


def test_an_interrupt_waits_until_the_lock_of_training_is_free_again():
    lock, reached = threading.Lock(), []
    try:
        with exclusively(lock):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.01)
            reached.append("the end")
    except KeyboardInterrupt:
        reached.append("the interrupt")
    assert reached == ["the end", "the interrupt"]
    assert not lock.locked()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize("place", ["inside", "after"])
def test_an_interrupt_is_held_back_until_a_step_is_whole(place):
    """Also in a training that a callback of another one starts, and in one after a training whose end was cut off."""

    class Interrupted(optimizers.SGD):
        def update(self, parameters, gradients, slots):
            os.kill(os.getpid(), signal.SIGINT)
            super().update(parameters, gradients, slots)

    model = recurra.Sequential([recurra.Embedding(30, 3, seed=1), recurra.Dense(2, seed=3)])
    model.compile(Interrupted(0.1), "mse")
    twin = model.clone()
    twin.compile(optimizers.SGD(0.1), "mse")
    twin.train_on_batch(WORDS[0], STEPS[0])
    outer = model_of_words()
    before = signal.getsignal(signal.SIGINT)
    try:
        if place == "inside":
            start = recurra.callbacks.LambdaCallback(
                on_train_batch_end=lambda batch, logs: model.train_on_batch(WORDS[0], STEPS[0])
            )
            with pytest.raises(KeyboardInterrupt):
                outer.fit(WORDS[0], STEPS[0], verbose=0, callbacks=[start])
        else:
            signal.signal(signal.SIGINT, Guard()._handle)  # as an interrupt at the beginning of __exit__ leaves it
            with pytest.raises(KeyboardInterrupt):
                model.train_on_batch(WORDS[0], STEPS[0])
    finally:
        signal.signal(signal.SIGINT, before)
    np.testing.assert_array_equal(model.flat_parameters, twin.flat_parameters)
    assert model.optimizer.iterations == 1


# Threads


def test_one_training_at_a_time():
    model, began, ends = model_of_words(), threading.Event(), threading.Event()

    def wait(batch, logs=None):
        began.set()
        assert ends.wait(30)

    hold = recurra.callbacks.LambdaCallback(on_train_batch_begin=wait)
    thread = threading.Thread(target=lambda: model.fit(WORDS[0], STEPS[0], verbose=0, shuffle=False, callbacks=[hold]))
    thread.start()
    assert began.wait(30)
    for verb in (model.fit, model.train_on_batch):
        with pytest.raises(RuntimeError, match=r"^model: expected one training at a time, got a second"):
            verb(WORDS[1], STEPS[1])
    ends.set()
    thread.join(30)
    assert same(state(model), state(after(1)))


def test_models_are_used_and_trained_in_several_threads_at_once():
    """Bit for bit as alone."""
    trained, used = model_of_words(), model_of_words()
    expected, wrong = used.predict(WORDS[0]), []

    def predict():
        for _ in range(40):
            if not (used.predict(WORDS[0]) == expected).all():
                wrong.append(1)

    threads = [threading.Thread(target=predict) for _ in range(3)]
    for thread in threads:
        thread.start()
    for words, steps in zip(WORDS, STEPS, strict=True):
        trained.train_on_batch(words, steps)
    for thread in threads:
        thread.join()
    assert not wrong
    assert same(state(trained), state(after(len(WORDS))))


# Sizes


def test_two_thousand_steps_do_not_grow_memory():
    """Below 4 MB after the first 200; a kilobyte kept by each step would be 2 MB, an array of gradients far more."""
    resident = pytest.importorskip("resource") and "/proc/self/statm"
    if not os.path.exists(resident):
        pytest.skip("needs /proc")

    def used():
        with open(resident) as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    model = model_of_words()
    model.layers[0].trainable = False
    for step in range(2200):
        if step == 200:
            before = used()
        model.train_on_batch(WORDS[step % 12], STEPS[step % 12])
    assert used() - before < 4 * 2**20


@pytest.mark.parametrize("make", ["graph", *(pytest.param(k, marks=pytest.mark.slow) for k in ("chain", "wide"))])
def test_models_of_two_thousand_layers_are_built_trained_and_copied(make, tmp_path):
    count = 2000
    if make == "chain":
        model = recurra.Sequential([layers.Dense(2) for _ in range(count)])
    else:
        x = y = recurra.Input((2,))
        parts = []
        for _ in range(count):
            parts.append(recurra.Dense(2)(x if make == "wide" else y))
            y = parts[-1]
        model = recurra.Model(x, layers.Add()(parts) if make == "wide" else layers.Add()([y, x]))
    model.compile("sgd", "mse")
    model.train_on_batch(np.ones((1, 2)), np.ones((1, 2)))
    model.save(tmp_path / "deep.safetensors")
    loaded = recurra.load_model(tmp_path / "deep.safetensors")
    np.testing.assert_array_equal(loaded.predict(np.ones((1, 2))), model.predict(np.ones((1, 2))))
