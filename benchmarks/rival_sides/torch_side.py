"""torch.nn.RNN, LSTM and GRU, time-major, in inference mode or with autograd."""

from recurra.bench.cases import Case
from recurra.bench.sides import Prepared

from .common import flat, parameters, stepping, threads, time_major


def serves(case: Case) -> bool:
    """PyTorch has projections, but neither peepholes nor layer normalisation in the cell."""
    return all(name == "proj_size" for name, _ in case.options)


def prepare(case: Case) -> Prepared:
    """Prepare the module with the case's weights."""
    import torch

    torch.set_num_threads(threads())
    module = {"rnn": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[case.cell](
        case.inputs,
        case.units,
        num_layers=case.layers,
        bidirectional=case.bidirectional,
        dtype=getattr(torch, case.dtype),
        **dict(case.options),
    )
    module.load_state_dict({name: torch.from_numpy(value.copy()) for name, value in parameters(case).items()})
    data = case.data()
    x = torch.from_numpy(time_major(data.x))
    dy = torch.from_numpy(time_major(data.dy))
    lengths = None if data.lengths is None else torch.from_numpy(data.lengths)
    if case.stream:
        return _stream(torch, module, x)

    def run():
        if lengths is None:
            return module(x)[0]
        packed = torch.nn.utils.rnn.pack_padded_sequence(x, lengths, enforce_sorted=False)
        return torch.nn.utils.rnn.pad_packed_sequence(module(packed)[0], total_length=case.steps)[0]

    def forward():
        with torch.inference_mode():
            return run()

    def training():
        module.zero_grad(set_to_none=True)
        x.grad = None
        y = run()
        y.backward(dy)
        return y

    def outputs():
        if not case.training:
            return (time_major(forward().numpy()),)
        y = training().detach().numpy()
        gradients = flat(case, {name: parameter.grad.numpy() for name, parameter in module.named_parameters()})
        return time_major(y), time_major(x.grad.numpy()), gradients

    if case.training:
        x.requires_grad_()
    return Prepared(training if case.training else forward, outputs)


def _stream(torch, module, x) -> Prepared:
    state = [None]

    def step():
        with torch.inference_mode():
            y, state[0] = module(x, state[0])
        return y[0]

    def reset():
        state[0] = None

    return stepping(step, reset)
