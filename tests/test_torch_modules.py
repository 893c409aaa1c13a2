"""recurra.torch.RNN, LSTM, GRU and the cells as modules: construction, messages, state dicts, copies, conversion."""

import copy
import inspect
import io
import pickle
import subprocess
import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.usefixtures("cells_on_the_engine"),
    pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN:UserWarning"),
    pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning"),
]

from torch.nn.utils import parametrizations  # noqa: E402

import recurra.torch  # noqa: E402
from recurra.torch.conversion import COUNTERPARTS  # noqa: E402
from recurra.torch.weights import Runtime  # noqa: E402
from torch_twins import ALL, CELLS, FORWARD, LAYERS, assert_as_pytorch, first, given, in_place  # noqa: E402

# Construction


@pytest.mark.parametrize("name", ALL)
def test_signature_representation_and_initial_values_are_pytorchs(name):
    ours, theirs = getattr(recurra.torch, name), getattr(torch.nn, name)
    assert inspect.signature(ours).parameters.keys() == inspect.signature(theirs).parameters.keys()
    options = [{}, {"bias": False}, {"dtype": torch.float64}]
    if name in LAYERS:
        options += [{"num_layers": 2, "bidirectional": True, "batch_first": True, "dropout": 0.25}]
    options += [{"num_layers": 2, "proj_size": 3}] if name == "LSTM" else []
    options += [{"nonlinearity": "relu"}] if name.startswith("RNN") else []
    for keywords in options:
        made = []
        for kind in (ours, theirs):
            torch.manual_seed(1)
            made.append(kind(4, 9, **keywords))
        assert isinstance(made[0], theirs)
        assert repr(made[0]) == repr(made[1])
        assert made[0].__dict__.keys() - made[1].__dict__.keys() == {"_recurra"}
        states = [module.state_dict() for module in made]
        assert list(states[0]) == list(states[1])
        for mine, other in zip(states[0].values(), states[1].values(), strict=True):
            assert torch.equal(mine, other)
        if name in LAYERS:
            assert [[w.shape for w in row] for row in made[0].all_weights] == [
                [w.shape for w in row] for row in made[1].all_weights
            ]
            assert made[0]._flat_weights_names == made[1]._flat_weights_names


WRONG = {
    "input_size": ((0, 3), {}),
    "hidden_size": ((3, -1), {}),
    "float size": ((3, 2.5), {}),
    "num_layers": ((3, 4), {"num_layers": 0}),
    "dropout": ((3, 4), {"dropout": 1.5}),
    "bias": ((3, 4), {"bias": 1}),
    "batch_first": ((3, 4), {"batch_first": "yes"}),
    "proj_size": ((3, 4), {"proj_size": 4}),
    "nonlinearity": ((3, 4), {"nonlinearity": "gelu"}),
    "unknown": ((3, 4), {"units": 4}),
}


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("case", WRONG)
def test_wrong_constructor_arguments_raise_what_pytorch_raises(name, case):
    arguments, keywords = WRONG[case]
    raised = []
    for library in (recurra.torch, torch.nn):
        with pytest.raises((TypeError, ValueError, RuntimeError)) as caught:
            getattr(library, name)(*arguments, **keywords)
        raised.append((caught.type, str(caught.value)))
    assert raised[0] == raised[1]


def zeros(*shape, dtype=torch.float32):
    return torch.zeros(shape, dtype=dtype)


WRONG_CALLS = {
    "four axes": (zeros(2, 3, 4, 5), None),
    "features": (zeros(5, 2, 3), None),
    "dtype": (zeros(5, 2, 4, dtype=torch.float64), None),
    "no steps": (zeros(0, 2, 4), None),
    "state rows": (zeros(5, 2, 4), zeros(1, 3, 6)),
    "state size": (zeros(5, 2, 4), zeros(1, 2, 5)),
    "state axes": (zeros(5, 2, 4), zeros(2, 6)),
    "state axes of one": (zeros(5, 4), zeros(1, 1, 6)),
    "state dtype": (zeros(5, 2, 4), zeros(1, 2, 6, dtype=torch.float64)),
    "packed features": (torch.nn.utils.rnn.pack_sequence([zeros(2, 3)]), None),
    "packed state": (torch.nn.utils.rnn.pack_sequence([zeros(2, 4)]), zeros(1, 2, 6)),
    "array": (np.zeros((5, 2, 4), np.float32), None),
}


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("case", WRONG_CALLS)
def test_wrong_inputs_raise_what_pytorch_raises(name, case):
    x, state = WRONG_CALLS[case]
    state = (state, state) if state is not None and name == "LSTM" else state
    raised = []
    for library in (recurra.torch, torch.nn):
        if library is torch.nn and name == "LSTM" and case.startswith("packed"):  # it reads what is not there
            expected = {"features": "input.size(-1) must be equal to input_size", "state": "Expected hidden[0] size"}
            assert raised[0][1].startswith(expected[case.split()[1]])
            return
        with pytest.raises((TypeError, ValueError, RuntimeError, AttributeError)) as caught:
            getattr(library, name)(4, 6)(x, state)
        raised.append((caught.type, str(caught.value)))
    assert raised[0] == raised[1]


@pytest.mark.parametrize("name", CELLS)
def test_wrong_inputs_of_cells_raise_what_pytorch_raises(name):
    for x, state in [(zeros(2, 3, 4), None), (zeros(2, 3), None), (zeros(2, 4), zeros(3, 6)), (zeros(4), zeros(1, 6))]:
        hx = (state, state) if state is not None and name == "LSTMCell" else state
        raised = []
        for library in (recurra.torch, torch.nn):
            with pytest.raises((ValueError, RuntimeError)) as caught:
                getattr(library, name)(4, 6)(x, hx)
            raised.append((caught.type, str(caught.value)))
        assert raised[0] == raised[1]


@pytest.mark.parametrize("name", LAYERS)
def test_an_empty_batch_gives_what_pytorch_gives(name):
    for library in (recurra.torch, torch.nn):
        y, hidden = getattr(library, name)(4, 6)(zeros(5, 0, 4))
        assert (y.shape, first(hidden).shape) == ((5, 0, 6), (1, 0, 6))


# State dicts and copies


@pytest.mark.parametrize("name", ALL)
def test_state_dicts_pass_both_ways(name):
    ours, theirs = getattr(recurra.torch, name)(4, 6), getattr(torch.nn, name)(4, 6)
    x = given(name)
    for source, target in ((theirs, ours), (ours, theirs)):
        with torch.no_grad():
            for weight in source.parameters():
                weight.normal_()
        first(target(x))
        target.load_state_dict(source.state_dict())
        torch.testing.assert_close(first(ours(x)), first(theirs(x)), **FORWARD)
    assert in_place(ours)
    ours.load_state_dict({key: value + 0.5 for key, value in theirs.state_dict().items()}, assign=True)
    assert not in_place(ours)
    assert_as_pytorch(ours, x)
    ours.flatten_parameters()
    assert in_place(ours)
    assert_as_pytorch(ours, x)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("how", ["deepcopy", "pickle", "torch.save"])
def test_copies_are_whole_and_apart(name, how):
    module = getattr(recurra.torch, name)(4, 6)
    x = given(name)
    expected = first(module(x)).detach()
    if how == "deepcopy":
        other = copy.deepcopy(module)
    elif how == "pickle":
        other = pickle.loads(pickle.dumps(module))
    else:
        file = io.BytesIO()
        torch.save(module, file)
        file.seek(0)
        other = torch.load(file, weights_only=False)
    assert type(other) is type(module)
    assert in_place(other)
    assert torch.equal(first(other(x)), expected)
    with torch.no_grad():
        for weight in other.parameters():
            weight.zero_()
    assert torch.equal(first(module(x)), expected)
    assert not torch.equal(first(other(x)), expected)


@pytest.mark.parametrize("name", ALL)
def test_other_dtypes_and_back(name):
    module, x = getattr(recurra.torch, name)(4, 6), given(name)
    expected = first(module(x)).detach()
    assert first(module.double()(x.double())).dtype == torch.float64
    torch.testing.assert_close(first(module(x.double())), expected.double(), **FORWARD)
    assert first(module.bfloat16()(x.bfloat16())).dtype == torch.bfloat16  # PyTorch's
    module.float()
    assert in_place(module)
    torch.testing.assert_close(first(module(x)), expected, rtol=0, atol=2e-2)  # bfloat16 has rounded the weights
    assert getattr(recurra.torch, name)(4, 6, device="meta")(x.to("meta"))[0].device.type == "meta"


def test_a_module_in_shared_memory_stays_shared():
    module = recurra.torch.GRU(4, 6).share_memory()
    assert all(weight.is_shared() for weight in module.parameters())
    assert in_place(module)
    assert_as_pytorch(module)
    scattered = recurra.torch.GRU(4, 6)
    for weight in scattered.parameters():
        weight.data = weight.data.clone().share_memory_()
    scattered.flatten_parameters()
    assert all(weight.is_shared() for weight in scattered.parameters())
    assert_as_pytorch(scattered)


# The tree


@pytest.mark.parametrize("name", ALL)
def test_convert_and_revert_change_the_class_and_nothing_else(name):
    network = torch.nn.ModuleDict({"a": torch.nn.Sequential(getattr(torch.nn, name)(4, 6)), "b": torch.nn.Linear(1, 1)})
    module, x = network["a"][0], given(name)
    held, seen = list(network.parameters()), []
    module.register_forward_hook(lambda *_: seen.append(1))
    expected = first(module(x))
    assert recurra.torch.convert(network) is network
    assert type(module) is COUNTERPARTS[getattr(torch.nn, name)] is getattr(recurra.torch, name)
    assert all(a is b for a, b in zip(network.parameters(), held, strict=True))
    assert in_place(module)
    torch.testing.assert_close(first(module(x)), expected, **FORWARD)
    recurra.torch.convert(network)
    assert recurra.torch.revert(network) is network
    assert type(module) is getattr(torch.nn, name)
    assert "_recurra" not in module.__dict__
    assert torch.equal(first(module(x)), expected)
    assert len(seen) == 3
    alone = getattr(torch.nn, name)(4, 6)
    assert recurra.torch.convert(alone) is alone
    assert type(alone) is getattr(recurra.torch, name)


def test_convert_keeps_parametrizations_and_leaves_subclasses_alone():
    class Own(torch.nn.LSTM):
        pass

    network = torch.nn.Sequential(parametrizations.weight_norm(torch.nn.GRU(4, 6), "weight_hh_l0"), Own(4, 6))
    x = given("GRU")
    expected = network[0](x)[0]
    recurra.torch.convert(network)
    assert isinstance(network[0], recurra.torch.GRU)
    assert type(network[1]) is Own
    torch.testing.assert_close(network[0](x)[0], expected, **FORWARD)
    assert len(Runtime.of(network[0]).plans) == 1  # the engine has served it
    recurra.torch.revert(network)
    assert not isinstance(network[0], recurra.torch.GRU)
    assert torch.equal(network[0](x)[0], expected)
    for verb in (recurra.torch.convert, recurra.torch.revert):
        with pytest.raises(TypeError, match=r"^module: expected a torch.nn.Module, got 3"):
            verb(3)


def test_every_public_module_has_its_counterpart():
    public = {name for name in recurra.torch.__all__ if isinstance(getattr(recurra.torch, name), type)}
    assert {kind.__name__ for kind in COUNTERPARTS.values()} == public == set(ALL)


def test_recurra_alone_does_not_import_torch():
    program = "import recurra, sys; recurra.LSTM(3); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("units", [16, 256])
def test_a_step_that_pytorch_takes_faster_is_left_to_it(name, units, monkeypatch):
    monkeypatch.undo()  # the rule itself is what this is about
    cell, calls = getattr(recurra.torch, name)(4, units), []
    theirs = getattr(torch.nn, name).forward
    monkeypatch.setattr(getattr(torch.nn, name), "forward", lambda *given: calls.append(1) or theirs(*given))
    trained = units == 16 and name != "RNNCell"
    first(cell(torch.randn(2, 4))).sum().backward()
    assert len(calls) == (0 if trained else 1)
    with torch.no_grad():
        cell(torch.randn(64, 4))
        cell(torch.randn(1, 4))
        with recurra.torch.unchanged_weights(cell):
            cell(torch.randn(1, 4))
    assert len(calls) == (0 if trained else 1) + (units == 256 or name == "RNNCell")
