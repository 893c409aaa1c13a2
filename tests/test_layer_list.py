"""Every layer of the list: its configuration, its copies, and that it can be found."""

import pickle

import numpy as np
import pytest

import recurra
from recurra.layers import LAYERS
from test_layers import VARIANTS, F, H, N, T, sequences


def examples():
    yield from (cls(H, **options) for cls, options in VARIANTS)
    yield recurra.Bidirectional(recurra.LSTM(H, activation="relu", zoneout=0.1), merge_mode="ave")
    yield recurra.Dense(2, activation=("elu", 0.5))
    yield recurra.Dense(2, activation="softmax", use_bias=False)
    yield recurra.Dropout(0.5)
    yield recurra.Normalization(mean=0.5, variance=4.0, invert=True)
    yield recurra.Conv1D(4, 3, padding="causal", dilation_rate=2, activation="relu")
    yield recurra.Attention(use_scale=True, score_mode="concat", dropout=0.1)
    yield recurra.AdditiveAttention(dropout=0.2)
    yield recurra.RNN([recurra.LSTMCell(H), recurra.GRUCell(2, reset_after=False)], return_sequences=True)
    yield recurra.CellRNN(recurra.LSTMCell(H, use_peepholes=True), go_backwards=True)


@pytest.mark.parametrize("layer", list(examples()), ids=repr)
def test_configs_copies_and_pickles_make_the_same_layer(layer):
    x = sequences(N, T, F, dtype=np.float32)
    x = [x, x] if layer.merges else x
    y = layer(x)
    assert type(layer).from_config(layer.get_config()).get_config() == layer.get_config()
    for copy in (layer.clone(), pickle.loads(pickle.dumps(layer))):
        np.testing.assert_array_equal(copy(x), y)
        assert not layer.size or not np.shares_memory(copy.flat_parameters, layer.flat_parameters)
    double = layer.clone("float64")
    assert double.dtype == np.float64
    wide = [part.astype(np.float64) for part in x] if layer.merges else x.astype(np.float64)
    np.testing.assert_allclose(double(wide), y, atol=1e-5)


def test_every_layer_is_listed_and_exported():
    for name, cls in LAYERS.items():
        assert getattr(recurra, name) is cls
    assert recurra.SimpleRNN is recurra.RNN
