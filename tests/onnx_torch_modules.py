"""Random PyTorch modules around recurrent layers, as people write them, and their ONNX files."""

import io
import warnings

import numpy as np
import torch
from torch import nn

from onnx_export_cases import pick

KINDS = (nn.LSTM, nn.GRU, nn.RNN)
ACTIVATIONS = (nn.ReLU, nn.Tanh, nn.Sigmoid, nn.ELU, nn.LeakyReLU, nn.Softplus, nn.Hardsigmoid, nn.ReLU6)
ENDS = ("all", "last", "slice", "hidden", "mean", "max")


class Network(nn.Module):
    """Features, convolution, recurrent layers, what reads them, an output layer: each part by chance."""

    def __init__(self, rng):
        super().__init__()
        width = int(rng.integers(1, 24))
        self.tokens, self.width = bool(rng.random() < 0.5), width
        self.embedding = nn.Embedding(15, width) if self.tokens else None
        self.front = nn.Sequential(*self.first(rng, width))
        width = next((m.out_features for m in reversed(self.front) if isinstance(m, nn.Linear)), width)
        self.conv, width = self.convolution(rng, width)
        self.both = bool(rng.random() < 0.4)
        units, layers = int(rng.integers(1, 24)), int(rng.integers(1, 3))
        kind = pick(rng, KINDS)
        self.rnn = kind(width, units, layers, batch_first=True, bidirectional=self.both, bias=bool(rng.random() < 0.8))
        self.end = pick(rng, [end for end in ENDS if not (self.both and end in ("last", "slice"))])
        head = [nn.Linear(units * (1 + self.both), 5), pick(rng, ACTIVATIONS)(), nn.Dropout(0.3), nn.Linear(5, 3)]
        self.head = nn.Sequential(*head[-1:] if rng.random() < 0.5 else head, *[nn.Softmax(-1)][: rng.integers(2)])
        self.head = nn.Linear(units * (1 + self.both), 3) if len(self.head) < 3 else self.head

    @staticmethod
    def first(rng, width):
        if rng.random() < 0.5:
            return []
        out = int(rng.integers(1, 20))
        return [nn.Linear(width, out), pick(rng, ACTIVATIONS)(), nn.LayerNorm(out)][: int(rng.integers(1, 4))]

    @staticmethod
    def convolution(rng, width):
        if rng.random() < 0.6:
            return nn.Sequential(), width
        out, size = int(rng.integers(1, 12)), int(rng.integers(1, 4))
        parts = [nn.Conv1d(width, out, size, padding=int(rng.integers(0, 3))), nn.BatchNorm1d(out), nn.ReLU()]
        return nn.Sequential(*parts, *[nn.MaxPool1d(2), nn.AvgPool1d(2)][: int(rng.integers(3))]), out

    def forward(self, x):
        x = self.front(self.embedding(x) if self.tokens else x)
        if len(self.conv):
            x = self.conv(x.transpose(1, 2)).transpose(1, 2)
        y, states = self.rnn(x)
        h = states[0] if isinstance(states, tuple) else states
        if self.end == "hidden":
            y = torch.cat([h[-2], h[-1]], dim=1) if self.both else h[-1]
        elif self.end in ("last", "slice"):
            y = y[:, -1] if self.end == "last" else y[:, -1:, :].squeeze(1)
        elif self.end != "all":
            y = y.mean(dim=1) if self.end == "mean" else y.max(dim=1).values
        return self.head(y)


def network(seed):
    """A module in evaluation, with statistics of its own, and an input."""
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    module = Network(rng)
    N, T = int(rng.integers(1, 5)), int(rng.integers(6, 15))
    x = rng.integers(0, 15, (N, T)) if module.tokens else rng.standard_normal((N, T, module.width)).astype(np.float32)
    for part in module.modules():
        if isinstance(part, nn.BatchNorm1d):
            part.running_mean.uniform_(-1, 1)
            part.running_var.uniform_(0.5, 2)
    return module.eval(), torch.from_numpy(x)


def exported(module, x, dynamo=False, **options):
    """The bytes of PyTorch's export with open batch and time."""
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if dynamo:
            axes = ({0: torch.export.Dim.AUTO, 1: torch.export.Dim.AUTO},)
            program = torch.onnx.export(module, (x,), dynamo=True, dynamic_shapes=axes, verbose=False, **options)
            return program.model_proto.SerializeToString()
        axes = {"input": {0: "batch", 1: "time"}}
        names = {"input_names": ["input"], "output_names": ["output"]}
        torch.onnx.export(module, (x,), file, dynamo=False, dynamic_axes=axes, **names, **options)
    return file.getvalue()
