"""recurra.torch under PyTorch's autograd: exact gradients, only those wanted, graphs kept, threads, dropout."""

import copy
import subprocess
import sys
import threading

import pytest

torch = pytest.importorskip("torch")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.usefixtures("cells_on_the_engine"),
    pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN:UserWarning"),
]

from torch.nn.utils.rnn import pack_sequence  # noqa: E402
from torch.utils.checkpoint import checkpoint  # noqa: E402

import recurra.torch  # noqa: E402
from recurra import _core  # noqa: E402
from torch_twins import ALL, CELLS, FORWARD, LAYERS, first, given, stepped, twin  # noqa: E402


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("form", ["batch", "single", "packed"])
def test_gradcheck_of_layers(name, form):
    torch.manual_seed(0)
    options = {"proj_size": 2} if name == "LSTM" else {}
    module = getattr(recurra.torch, name)(2, 3, num_layers=2, bidirectional=True, dtype=torch.float64, **options)
    packed = pack_sequence([torch.randn(n, 2, dtype=torch.float64) for n in (2, 4, 1)], enforce_sorted=False)
    shape, rows = {"batch": ((3, 2, 2), (2,)), "single": ((3, 2), ()), "packed": (packed.data.shape, (3,))}[form]
    x = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    states = [
        torch.randn(4, *rows, size, dtype=torch.float64, requires_grad=True)
        for size in ((2, 3) if name == "LSTM" else (3,))
    ]

    def function(x, *rest):
        data = x if form != "packed" else packed._replace(data=x)
        y, hidden = module(data, tuple(rest[:2]) if name == "LSTM" else rest[0])
        final = hidden if name == "LSTM" else (hidden,)
        return (y if form != "packed" else y.data, *final)

    assert torch.autograd.gradcheck(function, (x, *states, *module.parameters()))


@pytest.mark.parametrize("name", CELLS)
def test_gradcheck_of_cells(name):
    module = getattr(recurra.torch, name)(2, 3, dtype=torch.float64)
    x = torch.randn(2, 2, dtype=torch.float64, requires_grad=True)
    states = [torch.randn(2, 3, dtype=torch.float64, requires_grad=True) for _ in range(1 + (name == "LSTMCell"))]
    assert torch.autograd.gradcheck(
        lambda x, *rest: module(x, tuple(rest[:2]) if name == "LSTMCell" else rest[0]),
        (x, *states, *module.parameters()),
    )


@pytest.mark.parametrize("name", ALL)
def test_gradients_are_computed_for_what_asks_alone(name, monkeypatch):
    asked = []

    class Tape:
        def __init__(self, tape):
            self.tape = tape

        def backward(self, *arguments, **options):
            asked.append((options["need_dx"], arguments[3] is not None))
            return self.tape.backward(*arguments, **options)

    engine = recurra.torch.function.Call.gradients
    monkeypatch.setattr(
        recurra.torch.function.Call, "gradients", lambda self, tape, *rest: engine(self, Tape(tape), *rest)
    )
    module, x = getattr(recurra.torch, name)(4, 6), given(name)
    hidden = [key for key, _ in module.named_parameters() if "hh" in key]
    stepped(module, x).sum().backward()
    assert set(asked) == {(False, True)}
    assert all(weight.grad is not None for weight in module.parameters())
    asked.clear()
    module.zero_grad()
    for key in hidden:
        getattr(module, key).requires_grad_(False)
    stepped(module, x).sum().backward()
    assert all((weight.grad is None) == (key in hidden) for key, weight in module.named_parameters())
    asked.clear()
    module.requires_grad_(False)
    stepped(module, x.requires_grad_()).sum().backward()
    assert (True, False) in asked
    assert (True, True) not in asked
    expected = torch.autograd.grad(stepped(twin(module), x).sum(), x)[0]
    torch.testing.assert_close(x.grad, expected, rtol=0, atol=1e-4)
    assert not first(module(x.detach())).requires_grad


@pytest.mark.parametrize("name", ALL)
def test_without_gradients_nothing_is_recorded(name):
    module, x = getattr(recurra.torch, name)(4, 6), given(name).requires_grad_()
    expected = first(twin(module)(x))
    with torch.no_grad():
        assert first(module(x)).grad_fn is None
    with torch.inference_mode():
        y = first(module(x))
        assert y.is_inference()
        torch.testing.assert_close(y.clone(), expected, **FORWARD)
    assert first(module(x)).grad_fn is not None


@pytest.mark.parametrize("name", ALL)
def test_graphs_are_kept_or_freed_as_asked(name):
    module, x = getattr(recurra.torch, name)(4, 6), given(name).requires_grad_()
    loss = first(module(x)).square().sum()
    loss.backward(retain_graph=True)
    once = x.grad.clone()
    loss.backward()
    assert torch.equal(x.grad, 2 * once)
    y = first(module(x))
    y.sum().backward()
    with pytest.raises(RuntimeError, match=r"^Trying to backward through the graph a second time"):
        y.sum().backward()


@pytest.mark.parametrize("name", ALL)
def test_differentiating_twice_is_refused_when_it_is_tried(name):
    module, x = getattr(recurra.torch, name)(4, 6), given(name).requires_grad_()
    plain = torch.autograd.grad(first(module(x)).square().sum(), x)[0]
    gradient = torch.autograd.grad(first(module(x)).square().sum(), x, create_graph=True)[0]
    assert torch.equal(gradient, plain)
    with pytest.raises(RuntimeError, match="trying to differentiate twice a function that was marked with @once"):
        gradient.sum().backward()


def test_writing_to_tensors_after_the_call_changes_no_gradient():
    module, x = recurra.torch.LSTM(4, 6), given("LSTM")
    expected = torch.autograd.grad(module(x)[0].sum(), list(module.parameters()))
    data = x.clone()
    y = module(data)[0]
    loss = y.sum()
    with torch.no_grad():
        data.zero_()
        y.zero_()
        for weight in module.parameters():
            weight.add_(1.0)
    for found, value in zip(torch.autograd.grad(loss, list(module.parameters())), expected, strict=True):
        assert torch.equal(found, value)


@pytest.mark.parametrize("reentrant", [False, True])
def test_checkpoints_and_hooks(reentrant):
    module, x = recurra.torch.LSTM(4, 6, 2, dropout=0.5), given("LSTM").requires_grad_()
    seen = []
    module.register_full_backward_hook(lambda *_: seen.append(1))
    found = []
    for wrapped in (False, True):
        torch.manual_seed(1)
        y = checkpoint(lambda x: module(x)[0], x, use_reentrant=reentrant) if wrapped else module(x)[0]
        found.append(torch.autograd.grad(y.sum(), x)[0] if not (reentrant and wrapped) else None)
        if found[-1] is None:
            y.sum().backward()
            found[-1] = x.grad
    assert torch.equal(*found)
    assert seen


def test_lazy_negation_expanded_and_overlapping_tensors():
    module = recurra.torch.GRU(4, 6)
    x = torch.view_as_complex(torch.randn(6, 3, 4, 2)).conj().imag
    assert x.is_neg()
    one = torch.randn(1, 1, 4).expand(6, 3, 4)
    windows = torch.randn(40).as_strided((6, 3, 4), (4, 1, 1))
    state = torch.randn(1, 1, 6).expand(1, 3, 6)
    for data in (x, one, windows):
        torch.testing.assert_close(module(data, state)[0], twin(module)(data, state)[0], **FORWARD)


# Dropout between layers


@pytest.mark.parametrize("name", LAYERS)
def test_dropout_follows_torchs_seed_and_stops_in_eval(name):
    module, x = getattr(recurra.torch, name)(4, 6, num_layers=2, dropout=0.5), given(name)

    def draw(seed):
        torch.manual_seed(seed)
        return module(x)[0].detach()

    assert torch.equal(draw(1), draw(1))
    assert not torch.equal(draw(1), draw(2))
    torch.manual_seed(1)
    assert not torch.equal(module(x)[0], module(x)[0])
    module.eval()
    torch.testing.assert_close(draw(1), twin(module)(x)[0], **FORWARD)
    module.train().dropout = 0.0
    torch.testing.assert_close(draw(1), twin(module)(x)[0], **FORWARD)


def test_dropout_has_the_rate_and_scale_of_pytorchs():
    """A second layer that passes on sums of its input: their mean is kept, their variance is p / (1 - p) times more."""
    module = recurra.torch.RNN(1, 64, 2, nonlinearity="relu", dropout=0.25)
    with torch.no_grad():
        for weight in module.parameters():
            weight.zero_()
        module.bias_ih_l0.fill_(1.0)
        module.weight_ih_l1.copy_(torch.eye(64))
    torch.manual_seed(0)
    y = module(torch.zeros(50, 20, 1))[0]
    assert set(y.unique().tolist()) == {0.0, 1 / 0.75} or y.unique().numel() == 2
    assert abs(float((y == 0).float().mean()) - 0.25) < 0.01  # 64,000 draws: six standard deviations
    torch.testing.assert_close(y.max(), torch.tensor(1 / 0.75))
    module.dropout = 1.0
    assert not module(torch.zeros(5, 2, 1))[0].any()


def test_dropped_gradients_belong_to_the_dropped_outputs():
    module = recurra.torch.LSTM(3, 4, 3, dropout=0.4, bidirectional=True, dtype=torch.float64)
    x = torch.randn(4, 2, 3, dtype=torch.float64, requires_grad=True)

    def function(x, *_):
        torch.manual_seed(5)
        return module(x)[0]

    assert torch.autograd.gradcheck(function, (x, *module.parameters()))


# Threads


@pytest.mark.parametrize("shared", [False, True])
def test_training_from_several_threads(shared):
    first_module = recurra.torch.LSTM(4, 6)
    modules = [first_module if shared else copy.deepcopy(first_module) for _ in range(4)]
    inputs = [torch.randn(6, 3, 4) for _ in modules]
    expected = [torch.autograd.grad(m(x)[0].sum(), list(m.parameters())) for m, x in zip(modules, inputs, strict=True)]
    wrong = []

    def work(module, x, gradients):
        for _ in range(50):
            found = torch.autograd.grad(module(x)[0].sum(), list(module.parameters()))
            if not all(torch.equal(a, b) for a, b in zip(found, gradients, strict=True)):
                wrong.append(x)

    threads = [threading.Thread(target=work, args=job) for job in zip(modules, inputs, expected, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_torchs_number_of_threads_is_taken_over():
    module, x = recurra.torch.GRU(4, 6), given("GRU")
    before = torch.get_num_threads(), _core.get_num_threads()
    try:
        for count in (2, 1, 3):
            torch.set_num_threads(count)
            module(x)
            assert _core.get_num_threads() == count
        _core.set_num_threads(2)  # a later word of recurra's counts
        module(x)
        assert _core.get_num_threads() == 2
    finally:
        torch.set_num_threads(before[0])
        module(x)
        _core.set_num_threads(before[1])


def test_fewer_threads_set_before_the_import_count():
    program = (
        "import torch; torch.set_num_threads(1); import recurra; recurra.set_num_threads(3); import recurra.torch; "
        "assert recurra.get_num_threads() == 1"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
