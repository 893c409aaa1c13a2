"""recurra.torch beside torch.nn in random configurations: outputs, states and all gradients."""

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.usefixtures("cells_on_the_engine"),
    pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN:UserWarning"),
    pytest.mark.filterwarnings("ignore:dropout option adds dropout after all but last:UserWarning"),
]

from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pack_sequence  # noqa: E402

import recurra.torch  # noqa: E402

# Of outputs (absolute) and of gradients (relative to the largest).
TOLERANCES = {"float32": (2e-5, 1e-4), "float64": (1e-11, 1e-11)}
LAYERS, CELLS = ("LSTM", "GRU", "RNN"), ("LSTMCell", "GRUCell", "RNNCell")


def twins(name: str, *sizes: int, **options: Any) -> tuple[Any, Any]:
    """The same module of recurra.torch and of torch.nn."""
    made = []
    for library in (recurra.torch, torch.nn):
        torch.manual_seed(sum(sizes))
        made.append(getattr(library, name)(*sizes, **options))
    return made[0], made[1]


def tensors(result: Any) -> list[Any]:
    """All tensors of a result, whatever it is made of."""
    if isinstance(result, PackedSequence):
        return [result.data]
    return [result] if torch.is_tensor(result) else [tensor for part in result for tensor in tensors(part)]


def compare(ours: Any, theirs: Any, make_input: Any, dtype: str, seed: int) -> None:
    """Compare results, and gradients of everything, of a loss with random weights."""
    found = []
    for module in (ours, theirs):
        torch.manual_seed(seed)
        leaves, arguments = make_input()
        results = module(*arguments)
        rng = torch.Generator().manual_seed(seed)
        outputs = tensors(results)
        loss = sum((torch.randn(out.shape, generator=rng, dtype=out.dtype) * out).sum() for out in outputs)
        gradients = torch.autograd.grad(loss, [*leaves, *module.parameters()])
        found.append((results, outputs, gradients))
    forward, backward = TOLERANCES[dtype]
    assert type(found[0][0]) is type(found[1][0])
    for mine, other in zip(found[0][1], found[1][1], strict=True):
        torch.testing.assert_close(mine, other, rtol=0, atol=forward)
    for mine, other in zip(found[0][2], found[1][2], strict=True):
        scale = max(float(other.abs().max()), 1e-3)
        torch.testing.assert_close(mine, other, rtol=0, atol=backward * scale)


def odd_strides(x: Any, rng: np.random.Generator) -> Any:
    """The same numbers, sometimes in other strides."""
    kind = rng.integers(4)
    if kind == 0:
        return torch.stack([x, x], -1)[..., 0]
    if kind == 1:
        return x.transpose(0, -1).contiguous().transpose(0, -1)
    return x


@pytest.mark.parametrize("seed", range(320))
def test_layers_agree_with_pytorch(seed):
    rng = np.random.default_rng(seed)
    name, dtype = LAYERS[seed % 3], ("float32", "float64")[seed // 3 % 2]
    rows, steps, width, units = (int(np.exp(rng.uniform(0, np.log(top + 0.99)))) for top in (20, 20, 40, 70))
    options: dict[str, Any] = {
        "num_layers": int(rng.integers(1, 4)),
        "bias": bool(rng.integers(3)),
        "batch_first": bool(rng.integers(2)),
        "bidirectional": bool(rng.integers(2)),
        "dropout": float(rng.integers(2)) * 0.3,  # draws nothing in eval mode
        "dtype": getattr(torch, dtype),
    }
    if name == "RNN" and rng.integers(2):
        options["nonlinearity"] = "relu"
    if name == "LSTM" and units > 1 and rng.integers(2):
        options["proj_size"] = int(rng.integers(1, units))
    ours, theirs = twins(name, width, units, **options)
    kind = ("batch", "batch", "single", "packed", "unsorted", "packed evenly")[rng.integers(6)]
    given = bool(rng.integers(2))
    stack = options["num_layers"] * (2 if options["bidirectional"] else 1)
    lengths = torch.tensor(np.full(rows, steps) if kind == "packed evenly" else rng.integers(1, steps + 1, rows))

    def make_input() -> Any:
        new = np.random.default_rng(seed)
        shape = (steps, width) if kind == "single" else (rows, steps, width)
        x = odd_strides(torch.randn(shape, dtype=options["dtype"]), new).requires_grad_()
        leaves, data = [x], x
        if kind in ("batch", "single"):
            data = x if options["batch_first"] or kind == "single" else x.transpose(0, 1)
        else:
            order = lengths if kind == "unsorted" else lengths.sort(descending=True).values
            data = pack_padded_sequence(x, order, batch_first=True, enforce_sorted=kind != "unsorted")
        if not given:
            return leaves, (data,)
        wide = (stack,) if kind == "single" else (stack, rows)
        sizes = (options.get("proj_size", units), units)[: 2 if name == "LSTM" else 1]
        states = [torch.randn(*wide, size, dtype=options["dtype"]).requires_grad_() for size in sizes]
        return [*leaves, *states], (data, states[0] if len(states) == 1 else tuple(states))

    compare(ours.eval(), theirs.eval(), make_input, dtype, seed)


@pytest.mark.parametrize("seed", range(60))
def test_cells_agree_with_pytorch(seed):
    rng = np.random.default_rng(seed)
    name, dtype = CELLS[seed % 3], ("float32", "float64")[seed // 3 % 2]
    rows, width, units = (int(np.exp(rng.uniform(0, np.log(top + 0.99)))) for top in (20, 40, 70))
    options: dict[str, Any] = {"bias": bool(rng.integers(3)), "dtype": getattr(torch, dtype)}
    if name == "RNNCell" and rng.integers(2):
        options["nonlinearity"] = "relu"
    ours, theirs = twins(name, width, units, **options)
    batch = (rows,) if rng.integers(3) else ()
    given = bool(rng.integers(3))

    def make_input() -> Any:
        leaves = [torch.randn(*batch, width, dtype=options["dtype"]).requires_grad_()]
        for _ in range((2 if name == "LSTMCell" else 1) * given):
            leaves.append(torch.randn(*batch, units, dtype=options["dtype"]).requires_grad_())
        states = leaves[1:]
        return leaves, (leaves[0], states[0] if len(states) == 1 else tuple(states)) if given else (leaves[0],)

    compare(ours, theirs, make_input, dtype, seed)


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("sizes", [(32, 100, 128, 128), (3, 50, 300, 260)])
def test_large_layers_agree_with_pytorch(name, sizes):
    rows, steps, width, units = sizes
    ours, theirs = twins(name, width, units)
    compare(ours, theirs, lambda: ([(x := torch.randn(steps, rows, width).requires_grad_())], (x,)), "float32", 1)


@pytest.mark.parametrize("name", LAYERS)
def test_what_the_engine_computes_did_not_come_from_pytorch(name, monkeypatch):
    """The comparisons above would prove nothing if every call fell back."""
    options = {"proj_size": 2} if name == "LSTM" else {}
    ours, _ = twins(name, 3, 5, num_layers=2, bidirectional=True, **options)
    monkeypatch.setattr(getattr(torch.nn, name), "forward", None)
    monkeypatch.setattr(getattr(torch.nn, f"{name}Cell"), "forward", None)
    sequences = [torch.randn(length, 3) for length in (2, 4, 1)]
    for x in (torch.randn(4, 2, 3), torch.randn(4, 3), pack_sequence(sequences, enforce_sorted=False)):
        y, hidden = ours(x)
        ours(x, hidden)
        tensors(y)[0].sum().backward()
    cell = getattr(recurra.torch, f"{name}Cell")(3, 5)
    with torch.no_grad():
        for x in (torch.randn(2, 3), torch.randn(3)):
            cell(x, cell(x))


@pytest.mark.parametrize("name", LAYERS)
def test_loss_curves_of_200_steps_of_adam_coincide(name):
    torch.manual_seed(3)
    x, target = torch.randn(10, 128, 5), torch.randn(128, 2)  # more than the network can remember
    curves = []
    for module in twins(name, 5, 12):
        torch.manual_seed(4)
        network = torch.nn.ModuleDict({"rnn": module, "out": torch.nn.Linear(12, 2)})
        optimizer = torch.optim.Adam(network.parameters(), lr=0.003)
        losses = []
        for _ in range(200):
            optimizer.zero_grad()
            loss = torch.nn.functional.mse_loss(network["out"](network["rnn"](x)[0][-1]), target)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            losses.append(loss.item())
        curves.append(losses)
    assert curves[1][-1] < 0.9 * curves[1][0]
    np.testing.assert_allclose(curves[0], curves[1], rtol=1e-3)
