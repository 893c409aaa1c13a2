"""The commands: what each takes, and what it calls. A new one is a class here, in ``COMMANDS``."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    import argparse


class Command:
    """A command; subclasses are used as they are, without being made."""

    name: ClassVar[str]
    line: ClassVar[str]  # in the list of commands
    text: ClassVar[str]  # above the arguments
    passes_on: ClassVar[bool] = False  # whether another parser reads its arguments

    @staticmethod
    def arguments(parser: argparse.ArgumentParser) -> None:
        """Declare the arguments."""

    @staticmethod
    def run(options: argparse.Namespace) -> int:
        """Do it; return the exit status."""
        raise NotImplementedError


class Info(Command):
    """``recurra info``."""

    name, line = "info", "what a file holds: layers, shapes, parameters"
    text = """\
Print what a file holds: of a model its layers with shapes and parameters, inputs and outputs; of an
ONNX graph that recurra's layers cannot say its operators; of other safetensors files, such as
PyTorch's state dicts, the names, shapes and kinds of the arrays."""

    @staticmethod
    def arguments(parser: argparse.ArgumentParser) -> None:
        """Declare the arguments."""
        parser.add_argument("file", metavar="FILE")
        parser.add_argument("--json", action="store_true", help="print JSON instead of a table")

    @staticmethod
    def run(options: argparse.Namespace) -> int:
        """Print it."""
        from recurra.cli import info

        facts = info.facts(options.file)
        print(json.dumps(facts, indent=2) if options.json else info.text(facts))
        return 0


class Run(Command):
    """``recurra run``."""

    name, line = "run", "outputs of a model for arrays in files"
    text = """\
Run a model on INPUT and write what it returns to OUTPUT. A file .npy holds one array; several
inputs, or outputs, are in a file .npz under their names, which `recurra info` shows. Numbers are
converted to the width that the model takes."""

    @staticmethod
    def arguments(parser: argparse.ArgumentParser) -> None:
        """Declare the arguments."""
        parser.add_argument("file", metavar="FILE", help="the model")
        parser.add_argument("input", metavar="INPUT", help=".npy or .npz; samples come first: (batch, time, features)")
        parser.add_argument("output", metavar="OUTPUT", help=".npy, or .npz for any number of outputs")
        parser.add_argument("--lengths", metavar="LENGTHS", help="steps that count of each sample: 5,3,8 or .npy")
        parser.add_argument("--batch-size", type=int, metavar="N", help="samples computed at once")

    @staticmethod
    def run(options: argparse.Namespace) -> int:
        """Run it."""
        from recurra.cli.running import run

        print(run(options.file, options.input, options.output, options.lengths, options.batch_size))
        return 0


def _output_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what says how a file is written."""
    onnx, c = parser.add_argument_group("for .onnx"), parser.add_argument_group("for .c")
    onnx.add_argument("--opset", type=int, metavar="N", help="version of ONNX's operators (default: 17)")
    onnx.add_argument("--lengths", action="store_true", help="give the graph an input for the steps that count")
    c.add_argument("--name", help="prefix of the functions in the file (default: model)")
    c.add_argument("--weights", choices=("float32", "float16", "int8"), help="how they are stored (default: float32)")
    c.add_argument("--sample", metavar="FILE", help=".npy or .npz of inputs to measure the loss of accuracy with")


class Export(Command):
    """``recurra export``."""

    name, line = "export", "write a model for other programs: .onnx, .c, .keras"
    text = """\
Write a model in the format that OUT ends in:
  .onnx    for ONNX Runtime and its like (extra onnx)
  .c       one C99 file that needs no library
  .keras   for Keras (extra keras)"""

    @staticmethod
    def arguments(parser: argparse.ArgumentParser) -> None:
        """Declare the arguments."""
        parser.add_argument("file", metavar="FILE", help="the model")
        parser.add_argument("out", metavar="OUT", help="the file to write; one of this name is replaced")
        _output_arguments(parser)

    @staticmethod
    def run(options: argparse.Namespace) -> int:
        """Write it."""
        from recurra.cli.writing import write

        print(write(options.file, options.out, options))
        return 0


class Convert(Command):
    """``recurra convert``."""

    name, line = "convert", "from one format of models to another"
    text = """\
Read the model IN and write it to OUT, in the formats that their names end in: .safetensors
(recurra's own), .onnx, .keras; .c to write only. What a format cannot hold is refused by name;
nothing is approximated. With --torch, OUT is a safetensors file of the weights alone, under the
names of PyTorch's modules."""

    @staticmethod
    def arguments(parser: argparse.ArgumentParser) -> None:
        """Declare the arguments."""
        parser.add_argument("file", metavar="IN")
        parser.add_argument("out", metavar="OUT", help="the file to write; one of this name is replaced")
        parser.add_argument("--torch", action="store_true", help="write a state dict for PyTorch")
        _output_arguments(parser)

    @staticmethod
    def run(options: argparse.Namespace) -> int:
        """Write it."""
        from recurra.cli.writing import write, write_state_dict

        if options.torch:
            print(write_state_dict(options.file, options.out))
        else:
            print(write(options.file, options.out, options))
        return 0


class Verify(Command):
    """``recurra verify``."""

    name, line = "verify", "a file in its own runtime beside recurra: differences and times"
    text = """\
Run an .onnx file in ONNX Runtime, or a .keras or .h5 file in Keras, beside recurra on the same
inputs, and print the largest difference of each output and both times. Exit status 1 if outputs
differ by more than rounding explains, or if the runtime is not installed."""

    @staticmethod
    def arguments(parser: argparse.ArgumentParser) -> None:
        """Declare the arguments."""
        parser.add_argument("file", metavar="FILE")
        parser.add_argument("--reference", metavar="FILE", help="what FILE is compared with, if it is not its own")
        parser.add_argument("--inputs", metavar="FILE", help=".npy or .npz (default: random inputs)")
        parser.add_argument("--batches", type=int, nargs="+", default=[1, 3], metavar="N", help="default: 1 3")
        parser.add_argument("--seed", type=int, default=0, help="of the random inputs (default: 0)")

    @staticmethod
    def run(options: argparse.Namespace) -> int:
        """Compare."""
        import recurra
        from recurra.cli.running import arrays

        inputs = None if options.inputs is None else arrays(options.inputs)
        what = options.file if options.reference is None else recurra.load(options.file)
        more = {"batches": options.batches, "seed": options.seed, "reference": options.reference}
        found = recurra.verify(what, inputs, **more)
        if found.runtime is None:
            print(f"recurra: {found.note}", file=sys.stderr)
        return 0 if found.agrees else 1


class Bench(Command):
    """``recurra bench``."""

    name, line = "bench", "this machine's speed against NumPy, in about a minute"
    text, passes_on = "", True

    @staticmethod
    def run(options: argparse.Namespace) -> int:
        """Run the benchmark with the rest of the arguments."""
        from recurra.bench.__main__ import main

        main(options.rest)
        return 0


class Config(Command):
    """``recurra config``."""

    name, line = "config", "version, instruction set, threads, folders: what a bug report needs"
    text = "Print version, instruction set, threads, compiler, and where headers and libraries for C programs are."

    @staticmethod
    def arguments(parser: argparse.ArgumentParser) -> None:
        """Declare the arguments."""
        parser.add_argument("--json", action="store_true", help="print JSON instead of lines")

    @staticmethod
    def run(options: argparse.Namespace) -> int:
        """Print it."""
        from recurra.cli.info import configuration, lines

        facts = configuration()
        print(json.dumps(facts, indent=2) if options.json else "\n".join(lines(facts)))
        return 0


COMMANDS: list[Any] = [Info, Run, Export, Convert, Verify, Bench, Config]
