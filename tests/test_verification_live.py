"""recurra.verify beside the runtimes themselves."""

import numpy as np
import pytest

import recurra

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:LSTM with projections:UserWarning")]


def test_modules_of_pytorch_are_compared_with_and_without_recurra():
    torch = pytest.importorskip("torch")
    import recurra.torch

    nn = torch.nn

    class Tagger(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.head = nn.Embedding(9, 4), nn.Linear(5, 2)
            self.rnn = nn.GRU(4, 5, dropout=0.5, num_layers=2)

        def forward(self, words):
            y, h = self.rnn(self.embed(words))
            return {"tags": self.head(y), "state": h}

    modules = [
        nn.LSTM(4, 8, batch_first=True, bidirectional=True),
        nn.LSTM(4, 8, proj_size=3),
        nn.GRU(4, 8, num_layers=2).double(),
        nn.GRUCell(4, 8),
        nn.Sequential(nn.Linear(3, 4), nn.RNN(4, 5)),
        Tagger(),
        recurra.torch.convert(nn.LSTM(4, 8)),
    ]
    for module in modules:
        training, kinds = module.training, [type(part) for part in module.modules()]
        found = recurra.verify(module, print_fn=lambda text: None)
        assert found.agrees, found
        assert found.runtime.startswith("torch ")
        assert (module.training, [type(part) for part in module.modules()]) == (training, kinds)
    assert [output.name for output in recurra.verify(Tagger()).outputs] == ["output['tags']", "output['state']"]
    with pytest.raises(ValueError, match="does not say what it takes"):
        recurra.verify(nn.ReLU())
    assert recurra.verify(nn.ReLU(), np.ones((2, 3), np.float32)).agrees
    with pytest.raises(TypeError, match="what: expected a path"):
        recurra.verify(3)
    with pytest.raises(ValueError, match="expected a module on the CPU, got one on meta"):
        recurra.verify(nn.LSTM(4, 8, device="meta"))


def test_a_module_is_the_reference_of_a_model_that_took_its_weights():
    torch = pytest.importorskip("torch")
    module = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 2))
    model = recurra.Sequential([recurra.Dense(8, activation="tanh"), recurra.Dense(2)])
    model.build((None, None, 4))
    model.load_torch(module.state_dict(), {"dense": "0", "dense_1": "2"})
    assert recurra.verify(model, reference=module).agrees
    model.parameters["dense.weight"][0, 0] += 1.0
    assert not recurra.verify(model, reference=module).agrees


def test_a_session_of_onnx_runtime_is_the_reference_of_a_model(tmp_path):
    onnx, _ = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    from onnx import TensorProto, helper, numpy_helper

    layer = recurra.Sequential([recurra.Dense(3, activation="tanh")])
    layer.build((None, None, 4))
    weights = [numpy_helper.from_array(layer.parameters["dense.weight"].T.copy(), "w")]
    nodes = [helper.make_node("MatMul", ["x", "w"], ["z"]), helper.make_node("Tanh", ["z"], ["y"])]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", "T", 4])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", "T", 3])
    graph = helper.make_graph(nodes, "dense", [x], [y], weights)
    path = str(tmp_path / "m.onnx")
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    found = recurra.verify(layer, reference=path)
    assert found.agrees, found
    assert found.runtime.startswith("onnxruntime ")
    assert [output.name for output in found.outputs] == ["y"]
    (tmp_path / "damaged.onnx").write_bytes(b"\x08\x01garbage")
    with pytest.raises(ValueError, match="expected a file that ONNX Runtime takes"):
        recurra.verify(layer, reference=tmp_path / "damaged.onnx")


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_keras_in_a_process_of_its_own_is_the_reference_of_a_model(tmp_path):
    keras = pytest.importorskip("keras")
    words = keras.Input((None,), dtype="int32")
    hidden = keras.layers.Embedding(9, 4, mask_zero=True)(words)
    made = keras.Model(words, keras.layers.Dense(2)(keras.layers.LSTM(5)(hidden)))
    path = tmp_path / "m.keras"
    made.save(path)
    model = recurra.Sequential([recurra.Embedding(9, 4, mask_zero=True), recurra.LSTM(5), recurra.Dense(2)])
    model.build((None, None))
    table, kernel, recurrent, bias, head, shift = made.get_weights()
    zeros = np.zeros_like(bias)
    model.set_weights([table, kernel.T, recurrent.T, bias, zeros, head.T, shift])
    found = recurra.verify(model, reference=path)
    assert found.agrees, found
    assert found.runtime.startswith("keras ")
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(ValueError, match=r"m\.keras: expected a model that Keras runs, got its error: "):
        recurra.verify(model, reference=path)


def test_a_graph_that_no_layers_make_up_is_compared_as_it_runs(tmp_path, capsys):
    onnx, _ = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(0)
    weights = [rng.standard_normal(shape).astype(np.float32) for shape in ((1, 20, 3), (1, 20, 5))]
    x, y = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [*axes])
        for name, axes in (("x", ("steps", "batch", 3)), ("y", ("steps", 1, "batch", 5)))
    )
    nodes = [helper.make_node("LSTM", ["x", "w", "r"], ["h"], hidden_size=5), helper.make_node("Sin", ["h"], ["y"])]
    made = [numpy_helper.from_array(array, name) for array, name in zip(weights, "wr", strict=True)]
    graph = helper.make_graph(nodes, "sine", [x], [y], made)
    path = str(tmp_path / "sine.onnx")
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    assert isinstance(recurra.load(path), recurra.onnx.OnnxModel)
    found = recurra.verify(path)
    assert found.agrees
    assert found.outputs[0].name == "y"
    assert "sine.onnx: recurra beside onnxruntime" in capsys.readouterr().out
