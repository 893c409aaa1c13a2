"""Encoder and decoder: gradients, teaching, and searches beside plain loops over all targets."""

import itertools
import pickle
import re
from functools import partial

import numpy as np
import pytest

import recurra
from recurra.models import beam

RNG = np.random.default_rng(20268)
V, F = 5, 3  # tokens (0 padding, 1 start, 2 end), features of the source
SOURCE, SOURCE_LENGTHS = RNG.standard_normal((4, 6, F)), np.array([6, 2, 4, 1])


def seq2seq(attention="dot", cell="GRU", encoder=5, decoder=5, both=False, dtype="float64", **options):
    layer = getattr(recurra, cell)
    read = layer(encoder, return_sequences=True, return_state=True, dtype=dtype, seed=1)
    return recurra.Seq2Seq(
        recurra.Bidirectional(read) if both else read,
        layer(decoder, return_sequences=True, dtype=dtype, seed=2),
        recurra.Dense(V, activation=options.pop("activation", "softmax"), dtype=dtype, seed=3),
        attention=attention,
        **options,
    )


def lively(model):
    """Built, with weights large enough that its outputs differ from step to step."""
    model.ensure_built([(1, 1, F), (1, 1)])
    model.flat_parameters[...] = RNG.uniform(-1.5, 1.5, model.size)
    return model


STATES = {
    "as they are": {},
    "both directions side by side": {"encoder": 3, "decoder": 6, "both": True},
    "through dense layers": {"encoder": 4, "decoder": 3},
}


@pytest.mark.parametrize("states", STATES)
@pytest.mark.parametrize("cell", ["GRU", "LSTM"])
@pytest.mark.parametrize("attention", [None, "dot", "additive"])
def test_gradients_are_right_with_every_attention_and_start(attention, cell, states):
    model = seq2seq(attention, cell, **STATES[states])
    target = RNG.integers(0, V, (4, 5))
    result = recurra.gradcheck(model, [SOURCE, target], lengths=[SOURCE_LENGTHS, [5, 3, 1, 4]], max_elements=6)
    assert result.passed, str(result)


def test_gradients_are_right_for_stacks_dropout_and_logits():
    model = recurra.Seq2Seq(
        recurra.RNN([recurra.LSTMCell(4), recurra.GRUCell(3)], return_sequences=True, return_state=True),
        recurra.LSTM(4, num_layers=2, interlayer_dropout=0.3, return_sequences=True),
        recurra.Dense(V),
        attention=recurra.AdditiveAttention(dropout=0.2),
    )
    target = RNG.integers(0, V, (4, 5))
    result = recurra.gradcheck(model, [SOURCE, target], training=True, seed=5, max_elements=6)
    assert result.passed, str(result)


def test_both_directions_start_the_decoder_side_by_side():
    model = lively(seq2seq(None, "LSTM", **STATES["both directions side by side"]))
    _, *states = model.encoder(SOURCE)
    given = [np.concatenate([states[kind], states[2 + kind]], axis=1) for kind in range(2)]
    target = RNG.integers(0, V, (4, 5))
    expected = model.head(model.decoder(np.eye(V)[target], initial_state=given))
    np.testing.assert_allclose(model([SOURCE, target]), expected, atol=1e-14)


def test_attention_asks_with_the_new_states_and_goes_into_the_head():
    model = lively(seq2seq("additive", encoder=4, decoder=3))
    target = RNG.integers(0, V, (4, 5))
    outputs, state = model.encoder(SOURCE, lengths=SOURCE_LENGTHS)
    start = np.tanh(state @ model.parameters["bridge.0.weight"].T + model.parameters["bridge.0.bias"])
    h = model.decoder(np.eye(V)[target], initial_state=start)
    query, keys = h @ model.parameters["queries.weight"].T, outputs @ model.parameters["keys.weight"].T
    keys = keys + model.parameters["keys.bias"]
    scores = (np.tanh(query[:, :, None] + keys[:, None]) * model.parameters["attention.scale"]).sum(-1)
    scores[np.broadcast_to((np.arange(6) >= SOURCE_LENGTHS[:, None])[:, None], scores.shape)] = -np.inf
    weights = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    joined = np.concatenate([weights @ outputs, h], axis=-1)
    combined = np.tanh(joined @ model.parameters["combine.weight"].T + model.parameters["combine.bias"])
    expected = model.head(combined)
    np.testing.assert_allclose(model([SOURCE, target], lengths=[SOURCE_LENGTHS, None]), expected, atol=1e-13)


# Searches


def log_probability(model, source, length, tokens):
    """Of a target of one source, by the taught pass."""
    before = np.array([[model.start_token, *tokens[:-1]]])
    y = model([source[None], before], lengths=[[length], None])[0]
    if model.head.activation.name != "softmax":
        y = np.exp(y) / np.exp(y).sum(-1, keepdims=True)
    return float(np.log(y[np.arange(len(tokens)), list(tokens)]).sum())


def all_targets(most, end=2):
    """Every target of up to ``most`` tokens: ended ones, and those cut off."""
    for length in range(1, most + 1):
        for tokens in itertools.product(range(V), repeat=length):
            if end not in tokens[:-1] and (tokens[-1] == end or length == most):
                yield tokens


@pytest.mark.parametrize("penalty", [0.0, 1.0, 2.0, -0.5])
@pytest.mark.parametrize(("attention", "cell", "activation"), [("dot", "LSTM", "softmax"), (None, "GRU", None)])
def test_a_beam_as_wide_as_the_tree_finds_the_best_of_all_targets(attention, cell, activation, penalty):
    model, most = lively(seq2seq(attention, cell, activation=activation)), 3
    found = model.generate(
        SOURCE, lengths=SOURCE_LENGTHS, max_length=most, num_beams=(V - 1) ** 2 * V, length_penalty=penalty
    )
    for n in range(4):
        scored = {
            tokens: log_probability(model, SOURCE[n], SOURCE_LENGTHS[n], tokens) / len(tokens) ** penalty
            for tokens in all_targets(most)
        }
        best = max(scored, key=scored.__getitem__)
        assert tuple(found.tokens[n, : found.lengths[n]]) == best
        assert found.scores[n] == pytest.approx(scored[best], rel=1e-10)


def plain_beam_search(log_p, most, beams, penalty, early):
    """Beam search for one source with lists, as the docstring of `beam.search` tells it."""
    running, finished = [((), 0.0)], []
    for step in range(most):
        continued = [((*tokens, token), log_p((*tokens, token))) for tokens, _ in running for token in range(V)]
        continued = sorted(continued, key=lambda pair: -pair[1])[: 2 * beams]
        ended = [pair for rank, pair in enumerate(continued) if pair[0][-1] == 2 and rank < beams]
        running = [pair for pair in continued if pair[0][-1] != 2][:beams]
        if step + 1 == most:
            ended += running
        finished += [(value / (step + 1) ** penalty, tokens) for tokens, value in ended]
        finished = sorted(finished, key=lambda pair: -pair[0])[:beams]
        if early and len(finished) == beams:
            break
    return finished[0]


@pytest.mark.parametrize(("penalty", "early"), [(0.0, False), (1.0, False), (1.0, True)])
@pytest.mark.parametrize("beams", [1, 2, 3])
def test_a_narrow_beam_is_the_search_with_lists(beams, penalty, early):
    model, most = lively(seq2seq("additive", "GRU", decoder=4)), 5
    options = {"max_length": most, "num_beams": beams, "length_penalty": penalty, "early_stopping": early}
    found = model.generate(SOURCE, lengths=SOURCE_LENGTHS, **options)
    for n in range(4):
        log_p = partial(log_probability, model, SOURCE[n], SOURCE_LENGTHS[n])
        score, tokens = plain_beam_search(log_p, most, beams, penalty, early or beams == 1)
        assert tuple(found.tokens[n, : found.lengths[n]]) == tokens
        assert found.scores[n] == pytest.approx(score, rel=1e-10)
        assert (found.tokens[n, found.lengths[n] :] == 0).all()


class Table:
    """The probabilities of the next token depend on the step and the last token; the end is likely."""

    batch = 1

    def __init__(self, beams, steps, seed):
        draw = np.random.default_rng(seed).uniform(0.1, 1.0, (steps, V, V))
        draw[:, :, 2] *= 5
        self.table = np.log(draw / draw.sum(-1, keepdims=True))
        self.last, self.steps = np.ones((1, beams), int), 0

    def step(self):
        self.steps += 1
        return self.table[self.steps - 1][self.last]

    def follow(self, parents, tokens):
        self.last = tokens

    def log_p(self, tokens):
        return sum(self.table[t, a, b] for t, (a, b) in enumerate(itertools.pairwise((1, *tokens))))


@pytest.mark.parametrize("beams", [1, 2, 3, 4])
def test_enough_beams_are_left_where_many_end_at_once(beams):
    for seed in range(30):
        table = Table(beams, 6, seed)
        found = beam.search(table, beam.Options(6, beams, 3.0, beams == 1, 2, 0))
        score, tokens = plain_beam_search(table.log_p, 6, beams, 3.0, beams == 1)
        assert tuple(found.tokens[0, : found.lengths[0]]) == tokens
        assert found.scores[0] == pytest.approx(score, rel=1e-12)


def test_greedy_search_takes_the_most_probable_token_each_time():
    model = lively(seq2seq("dot", "LSTM"))
    found = model.generate(SOURCE, max_length=6)
    for n in range(4):
        tokens = [1]
        while len(tokens) < 7 and tokens[-1] != 2:
            tokens.append(int(model([SOURCE[n : n + 1], np.array([tokens])])[0, -1].argmax()))
        assert found.tokens[n, : found.lengths[n]].tolist() == tokens[1:]


@pytest.mark.parametrize("cell", ["LSTM", "own"])
def test_results_depend_neither_on_batches_nor_on_padding(cell):
    if cell == "own":
        from test_cells import Leaky

        model = recurra.Seq2Seq(
            recurra.LSTM(4, return_sequences=True, return_state=True),
            recurra.RNN([recurra.GRUCell(3), Leaky(4)], return_sequences=True),
            recurra.Dense(V),
        )
    else:
        model = seq2seq("dot", cell, dtype="float32")
    lively(model)
    source = SOURCE.astype(np.float32)
    found = model.generate(source, lengths=SOURCE_LENGTHS, num_beams=3, max_length=7)
    padded = source.copy()
    padded[np.arange(6) >= SOURCE_LENGTHS[:, None]] = 99.0
    again = model.generate(padded, lengths=SOURCE_LENGTHS, num_beams=3, max_length=7, batch_size=3)
    ragged = model.generate([row[:n] for row, n in zip(source, SOURCE_LENGTHS, strict=True)], num_beams=3, max_length=7)
    for other in (again, ragged):
        np.testing.assert_array_equal(found.tokens, other.tokens)
        np.testing.assert_allclose(found.scores, other.scores, rtol=1e-5)


class Counting:
    """Ends at once with probability 0.9: a search that stops when nothing better can come."""

    batch = 2

    def __init__(self, beams):
        self.beams, self.steps = beams, 0

    def step(self):
        self.steps += 1
        return np.broadcast_to(np.log([0.05, 0.05, 0.9]), (2, self.beams, 3))

    def follow(self, parents, tokens):
        assert parents.shape == tokens.shape == (2, self.beams)


@pytest.mark.parametrize(("penalty", "early", "steps"), [(0.0, False, 1), (0.0, True, 2), (-1.0, False, 1)])
def test_a_search_stops_when_no_other_target_can_be_better(penalty, early, steps):
    predictor = Counting(2)
    found = beam.search(predictor, beam.Options(20, 2, penalty, early, 2, 0))
    assert predictor.steps == steps
    assert found.tokens.tolist() == [[2], [2]]
    np.testing.assert_allclose(found.scores, np.log(0.9))


# Training


def reversed_digits(count):
    tokens = RNG.integers(3, V, (count, 4))
    lengths = RNG.integers(1, 5, count)
    source = np.eye(V, F + 2)[tokens][:, :, 2:]  # one-hot over what occurs
    target = np.zeros((count, 5), np.int64)
    for row, (some, n) in enumerate(zip(tokens, lengths, strict=True)):
        target[row, : n + 1] = [*some[:n][::-1], 2]
    return source, lengths, target


@pytest.mark.parametrize("attention", ["dot", "additive"])
def test_it_learns_to_reverse_sequences_of_different_lengths(attention):
    recurra.set_random_seed(6)
    model = seq2seq(attention, "GRU", 12, 12, dtype="float32")
    model.compile(recurra.optimizers.Adam(0.02), metrics=["accuracy"])
    source, lengths, target = reversed_digits(256)
    history = model.fit((source, lengths), target, epochs=25, batch_size=32, verbose=0, seed=4).history
    assert history["loss"][-1] < 0.1
    assert history["accuracy"][-1] > 0.95
    found = model.translate(source, lengths=lengths, num_beams=2, max_length=8)
    right = [row.tolist() == want[:n].tolist() for row, want, n in zip(found, target, lengths, strict=True)]
    assert np.mean(right) > 0.95


def test_what_stands_behind_the_end_of_a_target_does_not_count():
    source, lengths, target = reversed_digits(8)
    other = target.copy()
    other[np.arange(5) > lengths[:, None]] = 4
    model = seq2seq()
    model.compile()
    ragged = [row[: n + 1] for row, n in zip(target, lengths, strict=True)]
    losses = [model.evaluate((source, lengths), y, verbose=0) for y in (target, other, ragged)]
    assert losses[0] == losses[1] == losses[2]
    y = model([source, np.concatenate([np.full((8, 1), 1), target[:, :-1]], 1)], lengths=[lengths, lengths + 1])
    counted = np.arange(5) <= lengths[:, None]
    chosen = np.take_along_axis(y, target[:, :, None], axis=2)[:, :, 0]
    assert losses[0] == pytest.approx(-np.log(chosen[counted]).mean(), rel=1e-9)


def test_batches_of_a_generator_are_taught_alike():
    source, lengths, target = reversed_digits(32)
    found = []
    for batches in (False, True):
        recurra.set_random_seed(5)
        model = seq2seq(dtype="float32")
        model.compile("sgd")
        pairs = [((source[i : i + 8], lengths[i : i + 8]), target[i : i + 8]) for i in range(0, 32, 8)]
        if batches:
            model.fit(iter(pairs), epochs=1, verbose=0)
        else:
            model.fit((source, lengths), target, batch_size=8, shuffle=False, verbose=0)
        found.append(model.flat_parameters.copy())
    np.testing.assert_array_equal(*found)


def test_tokens_in_and_tokens_out_with_embeddings():
    recurra.set_random_seed(6)
    model = recurra.Seq2Seq(
        recurra.GRU(12, return_sequences=True, return_state=True),
        recurra.GRU(12, return_sequences=True),
        recurra.Dense(V, activation="softmax"),
        recurra.Embedding(V, 4, mask_zero=True),
        recurra.Embedding(V, 4),
        "dot",
    )
    target = reversed_digits(256)[2]
    tokens = np.where(target[:, :4] == 2, 0, target[:, :4])  # padded with 0, which the embedding masks
    copied = np.concatenate([tokens, np.zeros((256, 1), np.int64)], axis=1)
    copied[np.arange(256), (tokens != 0).sum(axis=1)] = 2
    model.compile(recurra.optimizers.Adam(0.02))
    model.fit(tokens, copied, epochs=30, verbose=0, seed=1)
    found = model.generate(tokens, max_length=5)
    assert np.mean((found.tokens == copied[:, : found.tokens.shape[1]]).all(axis=1)) > 0.95
    result = recurra.gradcheck(model, [tokens[:3], copied[:3]], max_elements=10)
    assert result.passed, str(result)


def test_files_copies_and_pickles_search_alike(tmp_path):
    model = lively(seq2seq("additive", "LSTM", dtype="float32", **STATES["through dense layers"]))
    model.compile("adam")
    found = model.generate(SOURCE, num_beams=2)
    text: list[str] = []
    model.summary(print_fn=text.append)
    assert re.search(r"head \(Dense\) +\(None, None, 5\) ", text[0])
    assert model.name == "seq2seq"
    model.save(tmp_path / "m.safetensors")
    for copy in (recurra.load_model(tmp_path / "m.safetensors"), pickle.loads(pickle.dumps(model)), model.clone()):
        np.testing.assert_array_equal(copy.generate(SOURCE, num_beams=2).tokens, found.tokens)
        assert list(copy.parameters) == list(model.parameters)
    own = seq2seq(recurra.Attention(use_scale=True), start_token=3, name="own")
    assert type(own).from_config(own.get_config()).get_config() == own.get_config()


def fitted():
    model = seq2seq(dtype="float32")
    model.compile("adam")
    return model


GRU = recurra.GRU
MISTAKES = [
    (
        lambda: recurra.Seq2Seq(GRU(3), GRU(3, return_sequences=True), recurra.Dense(V)),
        "encoder: expected a recurrent layer with return_sequences=True, got <GRU 'gru'>",
    ),
    (
        lambda: recurra.Seq2Seq(
            GRU(3, return_sequences=True, return_state=True), GRU(3, return_sequences=True), recurra.Dense(V, "relu")
        ),
        "head: expected a Dense layer with softmax or no activation",
    ),
    (lambda: seq2seq("general"), "attention: expected one of 'dot', 'additive', got 'general'"),
    (lambda: seq2seq(end_token=V), f"end_token: expected an integer from 0 to {V - 1}, got {V}"),
    (lambda: fitted().fit(SOURCE, np.full((4, 5), V), verbose=0), f"y: expected tokens from 0 to {V - 1}, got {V}"),
    (lambda: fitted().fit(SOURCE, np.ones((4, 5)), verbose=0), "y: expected integers, got float64"),
    (lambda: fitted().fit(SOURCE, np.full((3, 5), 2), verbose=0), "x: expected 4 samples in every input, got 3 in"),
    (lambda: fitted().predict(SOURCE), "x: expected a dictionary of source and target, got sources alone; model.gen"),
    (lambda: fitted().generate(SOURCE, num_beams=0), "num_beams: expected an integer from 1"),
    (lambda: fitted().generate(SOURCE[0]), "x: expected shape (batch, time, features), got (6, 3)"),
    (lambda: fitted()(SOURCE), "x: expected a list of source and target"),
]


@pytest.mark.parametrize(("call", "message"), MISTAKES, ids=[message for _, message in MISTAKES])
def test_a_mistake_is_explained(call, message):
    with pytest.raises((TypeError, ValueError)) as error:
        call()
    assert str(error.value).startswith(message)
