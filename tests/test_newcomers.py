"""What someone who comes from Keras tries first: it works, or a message says what to do."""

import io
import re

import numpy as np
import pytest

import recurra
from recurra import losses, metrics

STEPS = (2, 6, 4, 3)


def sequences(seed=0):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal((length, 3)).astype("float32") for length in STEPS]


def per_step(units=1, **compiled):
    model = recurra.Sequential([recurra.GRU(4, return_sequences=True), recurra.Dense(units)])
    model.compile("sgd", **compiled)
    return model


def classifier(units, **compiled):
    recurra.set_random_seed(2)
    model = recurra.Sequential([recurra.GRU(4), recurra.Dense(units)])
    model.compile("sgd", **compiled)
    return model


def samples(classes, count=24):
    rng = np.random.default_rng(1)
    return rng.standard_normal((count, 5, 3)).astype("float32"), rng.integers(0, classes, count)


def test_compile_takes_its_arguments_in_keras_order():
    model = recurra.Sequential([recurra.GRU(4), recurra.Dense(1)])
    model.compile("sgd", "mse", None, ["mae"], ["mse"])
    assert [metric.name for metric in model.metrics] == ["mae", "mse"]


def test_metrics_may_come_as_a_list_for_each_output_where_there_is_one():
    x, y = samples(2)
    assert list(classifier(1, loss="mse", metrics=[["mae"]]).fit(x, y, verbose=0).history) == ["loss", "mae"]


def test_metrics_in_the_place_of_loss_weights_are_pointed_out_at_once():
    with pytest.raises(TypeError, match=r"loss_weights: expected numbers, got \['mae'\]; .* metrics=\['mae'\]"):
        recurra.Sequential([recurra.Dense(1)]).compile("sgd", "mse", ["mae"])


# Metrics by name follow the loss


@pytest.mark.parametrize("name", ["perplexity", "bits_per_character"])
def test_a_metric_by_name_takes_the_logits_that_the_loss_takes(name):
    x, y = samples(4)
    model = classifier(4, loss=losses.SparseCategoricalCrossentropy(from_logits=True), metrics=[name])
    logs = model.evaluate(x, y, verbose=0, return_dict=True)
    expected = {"perplexity": np.exp, "bits_per_character": lambda loss: loss / np.log(2)}[name](logs["loss"])
    assert logs[name] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("loss", [losses.BinaryCrossentropy, losses.BinaryFocalCrossentropy])
def test_binary_metrics_by_name_look_at_logits_as_at_probabilities(loss):
    x, y = samples(2)
    names = ["accuracy", "binary_accuracy", "auc", "precision", "recall"]
    logits = classifier(1, loss=loss(from_logits=True), metrics=names)
    logits.fit(x, y, epochs=0, verbose=0)
    found = logits.evaluate(x, y, verbose=0)[1:]
    p = 1.0 / (1.0 + np.exp(-logits.predict(x).astype(float)))
    expected = [metrics.get(name)(y, p) for name in names]
    assert 0.0 < expected[0] < 1.0
    assert expected[0] != metrics.Accuracy()(y, logits.predict(x))
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_metric_object_stays_as_it_is_beside_a_loss_from_logits():
    own = metrics.BinaryAccuracy()
    model = classifier(1, loss=losses.BinaryCrossentropy(from_logits=True), metrics=[own])
    model.build((None, 5, 3))
    assert model.metrics == [own]
    assert own.threshold == 0.5


@pytest.mark.parametrize("name", ["auc", "precision", "recall", "binary_accuracy"])
def test_a_metric_by_name_that_can_make_nothing_of_logits_of_classes_is_refused(name):
    x, y = samples(4)
    model = classifier(4, loss=losses.SparseCategoricalCrossentropy(from_logits=True), metrics=[name])
    with pytest.raises(ValueError, match=f"metrics: expected one that takes the logits .* got '{name}'; end the"):
        model.fit(x, y, verbose=0)


def test_accuracy_by_name_beside_the_crf_is_that_of_the_best_path():
    x, y = samples(3, 8)[0], np.random.default_rng(2).integers(0, 3, (8, 5))
    model = recurra.Sequential([recurra.GRU(3, return_sequences=True), recurra.CRF(3)])
    model.compile("sgd", "linear_chain_crf", metrics=["accuracy"])
    found = model.evaluate(x, y, verbose=0, return_dict=True)["accuracy"]
    assert found == pytest.approx((recurra.crf_decode(model.predict(x))[0] == y).mean())


@pytest.mark.parametrize(
    ("loss", "units"), [(losses.Quantile([0.1, 0.5, 0.9]), 3), (losses.GaussianNLL(), 2)], ids=["quantile", "gaussian"]
)
def test_a_metric_that_does_not_fit_is_named_with_the_shapes(loss, units):
    x, y = samples(2)[0], np.ones((24, 1))
    model = classifier(units, loss=loss, metrics=["mae"])
    text = f"metrics: expected one for targets of shape (24, 1) and outputs of shape (24, {units}), got 'mae'; "
    with pytest.raises(ValueError, match=re.escape(text)) as caught:
        model.fit(x, y, verbose=0)
    assert caught.value.__cause__ is not None


# Weights


def test_metrics_are_unweighted_and_weighted_metrics_are_weighted():
    x, y = samples(2)[0], np.linspace(0, 3, 24)
    weight = np.linspace(0, 2, 24).astype("float32")
    model = classifier(1, loss="mse", metrics=["mse"], weighted_metrics=["mse", "mae"])
    logs = model.evaluate(x, y, sample_weight=weight, verbose=0, return_dict=True)
    error = model.predict(x)[:, 0] - y
    assert list(logs) == ["loss", "mse", "weighted_mse", "mae"]
    assert logs["mse"] == pytest.approx((error**2).mean(), rel=1e-5)
    assert logs["weighted_mse"] == pytest.approx(np.average(error**2, weights=weight), rel=1e-5)
    assert logs["mae"] == pytest.approx(np.average(abs(error), weights=weight), rel=1e-5)


def test_class_weights_weigh_the_training_loss_and_weighted_metrics_alone():
    x, y = samples(2)
    model = classifier(1, loss="mse", metrics=["mse"], weighted_metrics=["mae"])
    model.optimizer.learning_rate = 0.0
    logs = model.fit(x, y, 24, validation_split=0.5, class_weight={0: 5.0, 1: 2.0}, verbose=0).history
    error, weight = model.predict(x)[:, 0] - y, np.where(y == 0, 5.0, 2.0)
    for part, before in ((slice(0, 12), ""), (slice(12, 24), "val_")):
        e, w = error[part], (weight if not before else np.ones(24))[part]
        assert logs[f"{before}loss"][0] == pytest.approx((w * e**2).mean(), rel=1e-5)
        assert logs[f"{before}mse"][0] == pytest.approx((e**2).mean(), rel=1e-5)
        assert logs[f"{before}mae"][0] == pytest.approx(np.average(abs(e), weights=w), rel=1e-5)


def test_class_weights_do_not_weigh_batches_to_validate_on():
    x, y = samples(2)

    class Batches(recurra.data.Dataset):
        def __len__(self):
            return 1

        def __getitem__(self, index):
            return x, y

    model = classifier(1, loss="mse")
    model.optimizer.learning_rate = 0.0
    history = model.fit(Batches(), validation_data=Batches(), class_weight={0: 5.0, 1: 5.0}, verbose=0).history
    assert history["loss"][0] == pytest.approx(5 * history["val_loss"][0], rel=1e-5)


def test_a_file_keeps_weighted_metrics_and_what_names_stand_for(tmp_path):
    x, y = samples(4)
    loss = losses.SparseCategoricalCrossentropy(from_logits=True)
    model = classifier(4, loss=loss, metrics=["perplexity"], weighted_metrics=["accuracy"])
    weight = np.linspace(0, 2, 24)
    before = model.evaluate(x, y, sample_weight=weight, verbose=0, return_dict=True)
    model.save(tmp_path / "model.safetensors")
    loaded = recurra.load_model(tmp_path / "model.safetensors")
    assert loaded.evaluate(x, y, sample_weight=weight, verbose=0, return_dict=True) == before


# Sequences of different lengths


@pytest.mark.parametrize("change", [-1, 1], ids=["shorter", "longer"])
def test_ragged_targets_must_have_the_steps_of_their_sequences(change):
    x = sequences()
    y = [np.zeros((len(part) + change * (number == 1), 1)) for number, part in enumerate(x)]
    with pytest.raises(ValueError, match=re.escape(f"y[1]: expected 6 steps, got {6 + change}; one for each step")):
        per_step().fit(x, y, verbose=0)
    with pytest.raises(ValueError, match=re.escape("validation y[1]: expected 6 steps")):
        per_step().fit(x, [part[:, :1] for part in x], validation_data=(x, y), verbose=0)


def test_ragged_targets_must_fill_the_steps_of_an_array():
    y = [np.zeros((6, 1)), np.zeros((5, 1))]
    with pytest.raises(ValueError, match=re.escape("y[1]: expected 6 steps, got 5")):
        per_step().fit(np.zeros((2, 6, 3)), y, verbose=0)


def test_ragged_weights_count_as_padded_ones_with_lengths():
    x = sequences()
    y = [part[:, :1] for part in x]
    weight = [np.linspace(1, 2, len(part)) for part in x]
    model = per_step()
    found = model.evaluate(x, y, sample_weight=weight, verbose=0)
    padded, lengths = recurra.data.pad(x)
    pads = [recurra.data.pad(part)[0] for part in (y, weight)]
    assert found == model.evaluate(padded, pads[0], sample_weight=pads[1], lengths=lengths, verbose=0)
    with pytest.raises(ValueError, match=re.escape("sample_weight[0]: expected 2 steps, got 1")):
        model.fit(x, y, sample_weight=[weight[0][:1], *weight[1:]], verbose=0)


# Messages


def test_targets_beside_batches_are_refused():
    x, y = samples(2)
    data = recurra.data.BucketedDataset(list(x), y, batch_size=4)
    with pytest.raises(ValueError, match="y: expected none with batches, got"):
        classifier(1).fit(data, y)


@pytest.mark.parametrize("kind", [list, np.array, lambda labels: np.array(labels, object)])
def test_labels_that_are_text_are_refused_with_advice(kind):
    x, y = samples(2)
    with pytest.raises(TypeError, match=r"^y: expected numbers, got text; number the classes"):
        classifier(2, loss="sparse_categorical_crossentropy").fit(x, kind([f"class {label}" for label in y]))


def test_a_wrong_shape_in_validation_says_so():
    x, y = samples(2)
    with pytest.raises(ValueError, match=r"^validation y: expected shape"):
        classifier(1).fit(x, y, validation_data=(x, y[:3]), verbose=0)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["class_weight", "sample_weight"])
def test_logs_with_weights_are_those_of_keras(kind, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    keras = pytest.importorskip("keras")
    x, y = samples(3)
    flat = x.reshape(len(x), -1)
    weights = {"class_weight": {0: 3.0, 1: 0.5, 2: 1.0}, "sample_weight": np.linspace(0.5, 2, len(x))}
    logs = []
    ours = recurra.Sequential([recurra.Dense(3, activation="softmax")])
    theirs = keras.Sequential([keras.Input((flat.shape[1],)), keras.layers.Dense(3, activation="softmax")])
    ours.build((None, flat.shape[1]))
    theirs.set_weights([a.T if a.ndim == 2 else a for a in ours.get_weights()])
    for model in (ours, theirs):
        model.compile("sgd", "sparse_categorical_crossentropy", None, ["accuracy"], ["accuracy"])
        logs.append(model.fit(flat, y, len(x), 2, 0, validation_split=0.25, **{kind: weights[kind]}).history)
    assert set(logs[0]) == set(logs[1])
    for name, values in logs[1].items():
        np.testing.assert_allclose(logs[0][name], values, atol=2e-5, err_msg=name)


def translator(**options):
    model = recurra.Seq2Seq(
        recurra.GRU(4, return_sequences=True, return_state=True),
        recurra.GRU(4, return_sequences=True),
        recurra.Dense(6, activation="softmax"),
        **options,
    )
    model.compile("sgd")
    return model


def test_a_translator_makes_the_decoders_input_of_its_targets_which_must_end():
    source, target = np.zeros((5, 4, 3)), np.full((5, 4), 3)
    with pytest.raises(
        ValueError, match=r"^x: expected the source alone, got source and target; fit\(source, target\)"
    ):
        translator().fit([source, target], target, verbose=0)
    with pytest.raises(ValueError, match=r"^y: expected targets that end in 2, got none that does; append end_token"):
        translator().fit(source, target, verbose=0)
    translator(end_token=3).fit(source, target, verbose=0)
    target[0, -1] = 2
    translator().fit((source, np.full(5, 4)), target, verbose=0)


def test_one_callback_may_come_alone():
    x, y = samples(2)
    stopping = recurra.callbacks.EarlyStopping("loss", patience=0, min_delta=1e9)
    assert len(classifier(1).fit(x, y, epochs=5, callbacks=stopping, verbose=0).history["loss"]) == 2
    with pytest.raises(TypeError, match=r"^callbacks: expected a list of Callback objects, got 3"):
        classifier(1).fit(x, y, callbacks=3)


@pytest.mark.parametrize(("argument", "meant"), [("lr", "learning_rate"), ("eps", "epsilon"), ("beta1", "beta_1")])
def test_an_optimizers_argument_of_another_name_is_pointed_out(argument, meant):
    with pytest.raises(
        TypeError, match=rf"^Adam: expected arguments among .*, got {argument}=; did you mean {meant}\?$"
    ):
        recurra.optimizers.Adam(**{argument: 0.1})


def test_a_function_of_activations_stands_for_its_name():
    assert recurra.LSTM(2, activation=recurra.activations.relu).get_config()["activation"] == "relu"
    assert recurra.Dense(2, activation=recurra.activations.leaky_relu).activation == recurra.activations.leaky_relu()


# Runs that are gone on with


def test_a_finished_run_says_that_nothing_is_left(tmp_path, capsys):
    x, y = samples(2)
    classifier(1).fit(x, y, epochs=4, verbose=0, resume=tmp_path)
    assert not capsys.readouterr().out
    classifier(1).fit(x, y, epochs=4, resume=tmp_path)
    assert capsys.readouterr().out == f"{tmp_path}: finished after epoch 4 of 4, nothing left to train\n"


def test_an_interrupt_says_where_the_run_is_saved(tmp_path):
    class Stop(recurra.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 1:
                raise KeyboardInterrupt

    x, y = samples(2)
    with pytest.raises(KeyboardInterrupt) as caught:
        classifier(1).fit(x, y, epochs=4, verbose=0, resume=tmp_path, callbacks=[Stop()])
    (note,) = caught.value.__notes__
    assert re.fullmatch(
        rf"{re.escape(str(tmp_path))}: the run is saved after [12] epochs; the same call goes on .*", note
    )


def test_another_learning_rate_does_not_pass_unnoticed(tmp_path, recwarn):
    x, y = samples(2)
    first = classifier(1)
    halved = recurra.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2)
    first.fit(x, y, epochs=1, verbose=0, resume=tmp_path, callbacks=[halved])
    first.fit(x, y, epochs=2, verbose=0, resume=tmp_path, callbacks=[halved])
    classifier(1).fit(x, y, epochs=3, verbose=0, resume=tmp_path, callbacks=[halved])
    assert not recwarn
    other = classifier(1)
    other.optimizer.learning_rate = 0.5
    with pytest.warns(
        UserWarning, match=r"resume: expected learning_rate 0\.01, .* got 0\.5; it goes on with 0\.00125"
    ):
        other.fit(x, y, epochs=4, verbose=0, resume=tmp_path)


NUMBERS = ["loss 1.103", "accuracy 0.3269", "val_loss 1.103", "val_accuracy 0.3269"]


@pytest.mark.parametrize(
    ("columns", "shown"),
    [
        (120, ["========== 9/9", *NUMBERS, "1 ms/step", "1 s"]),
        (105, ["9/9", *NUMBERS, "1 ms/step", "1 s"]),
        (90, ["9/9", *NUMBERS, "1 s"]),
        (82, [*NUMBERS, "1 s"]),
        (80, [*NUMBERS, "1 s"]),
        (76, NUMBERS),
        (60, [*NUMBERS[:3], "1 s"]),
    ],
)
def test_the_last_line_of_an_epoch_drops_counts_and_times_before_metrics(columns, shown, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    bar = recurra.callbacks.ProgressBar(live=True, stream=io.StringIO())
    bar.set_params({"epochs": 3, "steps": 9})
    bar._epoch, bar._step, bar._steps = 1, 9, 9
    assert bar._finished(NUMBERS, ["1 ms/step", "1 s"]) == shown
