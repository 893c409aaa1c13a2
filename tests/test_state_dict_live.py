"""load_torch and to_torch beside PyTorch itself: outputs of random modules, both ways, through memory and files."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:LSTM with projections:UserWarning")]

from torch import nn  # noqa: E402
from torch.nn.utils import prune  # noqa: E402

import recurra  # noqa: E402

TOLERANCE = {"float32": 2e-5, "float64": 1e-11}
N, T, F = 3, 6, 5


def recurrent(rng):
    """A random torch module and our layer for it."""
    name = str(rng.choice(["RNN", "LSTM", "GRU"]))
    hidden, layers, both, bias = (
        int(rng.integers(1, 9)),
        int(rng.integers(1, 4)),
        bool(rng.integers(2)),
        bool(rng.integers(2)),
    )
    theirs = {"num_layers": layers, "bidirectional": both}
    ours = {**theirs, "use_bias": bias, "return_sequences": True}
    if name == "LSTM" and hidden > 1 and rng.integers(2):
        theirs["proj_size"] = ours["proj_size"] = int(rng.integers(1, hidden))
    if name == "RNN":
        theirs["nonlinearity"] = ours["activation"] = str(rng.choice(["tanh", "relu"]))
    module = getattr(nn, name)(F, hidden, bias=bias, batch_first=True, **theirs)
    return module, lambda dtype: getattr(recurra, name)(hidden, dtype=dtype, **ours), lambda m, x: m(x)[0]


def convolution(rng):
    groups, kernel, dilation = int(rng.choice([1, 5])), int(rng.integers(1, 4)), int(rng.integers(1, 3))
    options = {"groups": groups}
    module = nn.Conv1d(F, 10, kernel, dilation=dilation, **options)
    layer = lambda dtype: recurra.Conv1D(10, kernel, dilation_rate=dilation, dtype=dtype, **options)  # noqa: E731
    return module, layer, lambda m, x: m(x.transpose(1, 2)).transpose(1, 2)


def plain(rng):
    kind = int(rng.integers(3))
    if kind == 0:
        bias = bool(rng.integers(2))
        layer = lambda dtype: recurra.Dense(4, use_bias=bias, dtype=dtype)  # noqa: E731
        return nn.Linear(F, 4, bias=bias), layer, lambda m, x: m(x)
    if kind == 1:
        module = nn.LayerNorm(F)
        layer = lambda dtype: recurra.LayerNormalization(epsilon=1e-5, dtype=dtype)  # noqa: E731
        return module, layer, lambda m, x: m(x)
    module = nn.BatchNorm1d(F)
    module.train()(torch.randn(20, F) * 3 + 1)
    layer = lambda dtype: recurra.BatchNormalization(epsilon=1e-5, dtype=dtype)  # noqa: E731
    return module.eval(), layer, lambda m, x: m(x.transpose(1, 2)).transpose(1, 2)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("seed", range(60))
def test_outputs_agree_with_weights_of_random_modules_and_go_back(seed, dtype, tmp_path):
    """Within 2e-5 in float32 and 1e-11 in float64; the way back is bit for bit."""
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    module, make, call = [recurrent, recurrent, convolution, plain][seed % 4](rng)
    module = module.to(getattr(torch, dtype)).eval()
    with torch.no_grad():
        for weight in module.parameters():
            weight.uniform_(-1.0, 1.0)
    layer = make(dtype)
    state = {f"net.{name}": tensor for name, tensor in module.state_dict().items()}
    if seed % 3 == 0:
        from safetensors.torch import save_file

        save_file(state, tmp_path / "net.safetensors")
        layer.load_torch(tmp_path / "net.safetensors", "net")
    else:
        layer.load_torch(state, "net")
    x = rng.standard_normal((N, T, F)).astype(dtype)
    with torch.no_grad():
        expected = call(module, torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(layer(x), expected, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])

    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    with torch.no_grad():
        for weight in module.parameters():
            weight.zero_()
    module.load_state_dict({name: torch.from_numpy(array) for name, array in layer.to_torch().items()})
    for name, tensor in module.state_dict().items():
        assert torch.equal(tensor, before[name]), name


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(11, 5)
        self.encoder = nn.ModuleDict({"rnn": nn.LSTM(5, 3, num_layers=2, bidirectional=True, batch_first=True)})
        self.norm = nn.LayerNorm(6)
        self.head = nn.Linear(6, 2)

    def forward(self, words):
        return self.head(self.norm(self.encoder["rnn"](self.embed(words))[0]))


@pytest.mark.parametrize("half", [None, torch.float16, torch.bfloat16])
def test_a_network_goes_into_a_chain_also_from_small_floats(half):
    """Within 2e-5; the small floats are what PyTorch computes with after going back to float32."""
    torch.manual_seed(0)
    network, words = Tagger().eval(), torch.randint(11, (4, 7))
    state = network.state_dict()
    if half is not None:
        state = {name: tensor.to(half) for name, tensor in state.items()}
        network.load_state_dict(state)
    model = recurra.Sequential(
        [
            recurra.Embedding(11, 5, name="embed"),
            recurra.LSTM(3, num_layers=2, bidirectional=True, return_sequences=True),
            recurra.LayerNormalization(epsilon=1e-5, name="norm"),
            recurra.Dense(2),
        ]
    )
    model.load_torch(state, {"lstm": "encoder.rnn", "dense": "head"})
    with torch.no_grad():
        expected = network(words).numpy()
    np.testing.assert_allclose(model(words.numpy()), expected, rtol=2e-5, atol=2e-5)
    back = model.to_torch({"lstm": "encoder.rnn", "dense": "head"})
    other = Tagger()
    other.load_state_dict({name: torch.from_numpy(array) for name, array in back.items()})
    assert all(torch.equal(a, b.float()) for a, b in zip(other.state_dict().values(), state.values(), strict=True))


@pytest.mark.parametrize("name", ["RNNCell", "LSTMCell", "GRUCell"])
def test_weights_of_cells_go_into_layers(name):
    """Within 2e-5 after five steps."""
    torch.manual_seed(0)
    cell, x = getattr(nn, name)(F, 4), torch.randn(N, 5, F)
    layer = getattr(recurra, name.removesuffix("Cell"))(4)
    layer.load_torch(cell.state_dict())
    state = None
    with torch.no_grad():
        for t in range(5):
            state = cell(x[:, t], state)
    h = state[0] if isinstance(state, tuple) else state
    np.testing.assert_allclose(layer(x.numpy()), h.numpy(), rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda m: nn.utils.parametrizations.weight_norm(m, "weight_hh_l0"),
        lambda m: nn.utils.parametrizations.spectral_norm(m, "weight_hh_l0"),
        lambda m: prune.l1_unstructured(m, "weight_hh_l0", 0.3),
    ],
)
def test_what_pytorch_stores_of_a_parametrized_weight_is_refused_by_name(wrap):
    module = nn.GRU(F, 3)
    wrap(module)
    with pytest.raises(ValueError, match="'weight_hh_l0' for layer 'gru', got a parametrization of it"):
        recurra.GRU(3).load_torch(module.state_dict())


def test_tensors_that_numpy_cannot_hold_are_named():
    for tensor in (torch.empty(2, F, device="meta"), torch.eye(2, F).to_sparse(), torch.ones(2, F, dtype=torch.int32)):
        with pytest.raises(TypeError, match=r"state_dict\['weight'\]: expected"):
            recurra.Dense(2, use_bias=False).load_torch({"weight": tensor})


def test_a_file_of_torch_save_is_refused_with_the_way_to_convert_it(tmp_path):
    torch.save(nn.Linear(F, 2).state_dict(), tmp_path / "weights")
    with pytest.raises(ValueError, match=r"a pickle, which can run anything .* safetensors\.torch\.save_file"):
        recurra.Dense(2).load_torch(tmp_path / "weights")
