"""What PyTorch exports is loaded, as a native model where it can be, and agrees with the module within 2e-5."""

import numpy as np
import pytest

import onnx_models as make
import recurra
from onnx_export_cases import assert_agrees, random_model

pytest.importorskip("onnx")

TOLERANCE = 2e-5
LEAST_NATIVE = 30  # of 40 modules


def loaded(tmp_path, data):
    path = tmp_path / "model.onnx"
    path.write_bytes(data)
    return recurra.load(path)


def assert_same(model, module, x):
    np.testing.assert_allclose(model(x.numpy()), module(x).detach().numpy(), rtol=TOLERANCE, atol=TOLERANCE)


@pytest.mark.slow
def test_random_modules_agree_and_most_become_native_models(tmp_path):
    pytest.importorskip("torch")
    from onnx_torch_modules import exported, network

    native = 0
    for seed in range(40):
        module, x = network(seed)
        model = loaded(tmp_path, exported(module, x, opset_version=(9, 11, 13, 17, 18, 20)[seed % 6]))
        assert_same(model, module, x)
        native += isinstance(model, recurra.Sequential | recurra.Model)
    assert native >= LEAST_NATIVE


@pytest.mark.slow
def test_the_new_exporter_is_read_as_well(tmp_path):
    pytest.importorskip("torch")
    pytest.importorskip("onnxscript")
    from onnx_torch_modules import exported, network

    for seed in (1, 2, 3):
        module, x = network(seed)
        model = loaded(tmp_path, exported(module, x, dynamo=True))
        assert isinstance(model, recurra.Sequential | recurra.Model)
        assert_same(model, module, x)


@pytest.mark.slow
def test_a_native_model_of_a_module_trains(tmp_path):
    torch = pytest.importorskip("torch")
    from onnx_torch_modules import exported

    class Network(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = torch.nn.LSTM(3, 8, batch_first=True)
            self.out = torch.nn.Linear(8, 1)

        def forward(self, x):
            return self.out(self.rnn(x)[0][:, -1])

    torch.manual_seed(0)
    module, x = Network().eval(), torch.randn(32, 6, 3)
    model = loaded(tmp_path, exported(module, x))
    assert [layer.name for layer in model.layers] == ["rnn", "out"]
    assert_same(model, module, x)
    model.compile(recurra.optimizers.Adam(0.05), "mse")
    losses = model.fit(x.numpy(), x.numpy().sum(axis=(1, 2))[:, None], epochs=30, verbose=0).history["loss"]
    assert losses[-1] < 0.7 * losses[0]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1000, 1100))
def test_random_models_agree_with_the_runner(seed):
    from recurra.onnx import OnnxModel, read_graph

    model, inputs, lengths = random_model(np.random.default_rng(seed))
    assert_agrees(model, inputs, lengths, run=lambda proto, feed: make.run_often(OnnxModel(read_graph(proto)), feed))
