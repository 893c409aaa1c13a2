"""Training steps of PyTorch networks with recurra.torch and with torch.nn.

    pip install '.[bench]'
    python benchmarks/dropin.py --json benchmarks/results/dropin.json

A step is forward, backward (also to the input) and Adam over a module and a linear layer on top, through PyTorch's
public interface. Each side has a process of its own; outputs and gradients are compared before anything is timed; sides
take turns. A ratio is the median over turns of torch.nn's time / recurra.torch's: above 1, recurra.torch is faster.
"""

import argparse
import fnmatch
import os
from pathlib import Path

import numpy as np

from recurra.bench import report
from recurra.bench.cases import Case
from recurra.bench.contest import Contestant, contest
from recurra.bench.sides import Prepared
from rival_sides.common import flat, parameters, threads

CASES = [
    *(Case(f"{cell}-T100-N32-H128", cell, 32, 100, 128, 128, training=True) for cell in ("lstm", "gru", "rnn")),
    Case("gru-packed-T100-N32-H128", "gru", 32, 100, 128, 128, training=True, ragged=True),
    Case("lstm-packed-T100-N32-H128", "lstm", 32, 100, 128, 128, training=True, ragged=True),
    Case("lstm-T50-N16-H64-2x2", "lstm", 16, 50, 64, 64, training=True, layers=2, bidirectional=True),
    Case("lstm-T50-N64-H512", "lstm", 64, 50, 512, 512, training=True),
    *(Case(f"{cell}-T20-N8-H16", cell, 8, 20, 8, 16, training=True) for cell in ("lstm", "gru", "rnn")),
    *(Case(f"{cell}-T3-N2-H8", cell, 2, 3, 4, 8, training=True) for cell in ("lstm", "gru", "rnn")),
]
TARGETS = 4


def recurra_torch(case: Case) -> Prepared:
    """Prepare the case with recurra.torch."""
    import recurra.torch

    return prepare(case, recurra.torch)


def torch_nn(case: Case) -> Prepared:
    """Prepare the case with torch.nn."""
    import torch

    return prepare(case, torch.nn)


def prepare(case: Case, library) -> Prepared:
    """Prepare a training step with the modules of a library."""
    import torch
    from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

    torch.set_num_threads(threads())
    torch.manual_seed(0)
    module = getattr(library, case.cell.upper())(
        case.inputs, case.units, num_layers=case.layers, bidirectional=case.bidirectional
    )
    module.load_state_dict({name: torch.from_numpy(value.copy()) for name, value in parameters(case).items()})
    top = torch.nn.Linear(case.units * (2 if case.bidirectional else 1), TARGETS)
    optimizer = torch.optim.Adam([*module.parameters(), *top.parameters()], lr=1e-6)
    data = case.data()
    x = torch.from_numpy(np.ascontiguousarray(data.x.transpose(1, 0, 2))).requires_grad_()
    dy = torch.from_numpy(np.ascontiguousarray(data.dy.transpose(1, 0, 2)))
    lengths = None if data.lengths is None else torch.from_numpy(data.lengths)

    def run(sequences):
        if lengths is None:
            return module(sequences)[0]
        return module(pack_padded_sequence(sequences, lengths, enforce_sorted=False))[0]

    def step():
        optimizer.zero_grad()
        x.grad = None
        y = run(x)
        top(y if lengths is None else y.data).square().mean().backward()
        optimizer.step()

    def outputs():
        module.zero_grad()
        x.grad = None
        y = run(x)
        if lengths is not None:
            y = pad_packed_sequence(y, total_length=case.steps)[0]
        y.backward(dy)
        gradients = flat(case, {name: weight.grad.numpy() for name, weight in module.named_parameters()})
        return y.detach().numpy(), x.grad.numpy().copy(), gradients

    return Prepared(step, outputs)


def main() -> None:
    """Run the cases asked for, print a table, store JSON."""
    parser = argparse.ArgumentParser(description="recurra.torch against torch.nn.")
    parser.add_argument("--cases", default="*", metavar="PATTERN", help="such as 'lstm-*' (default: all)")
    parser.add_argument("--seconds", type=float, default=4.0, help="for each case (default: %(default)s)")
    parser.add_argument("--json", type=Path, metavar="PATH", help="store the results here")
    options = parser.parse_args()
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    facts = report.machine("numpy", "torch")
    print(f"{facts['cpu']}, {facts['isa']}, recurra {facts['recurra']}, {facts['versions']}\n")
    print(f"{'case':<28} {'threads':>7} {'recurra us':>12} {'torch us':>12} {'ratio':>6}  quartiles")
    results = []
    for case in CASES:
        if not fnmatch.fnmatch(case.name, options.cases):
            continue
        for count in sorted({1, cpus}):
            sides = {"recurra.torch": Contestant(recurra_torch, count), "torch.nn": Contestant(torch_nn, count)}
            result = contest(case, sides, seconds=options.seconds)
            ours, theirs = result["sides"].values()
            print(
                f"{case.name:<28} {count:7} {ours['microseconds']:12.1f} {theirs['microseconds']:12.1f} "
                f"{theirs['ratio']:6.2f}  {theirs['quartiles'][0]:.2f} to {theirs['quartiles'][1]:.2f}",
                flush=True,
            )
            results.append(result | {"threads": count})
            if options.json:  # after every case: a long run that is stopped keeps what it has
                report.write(options.json, facts, results)


if __name__ == "__main__":
    main()
