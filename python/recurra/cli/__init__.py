"""The command line: ``recurra COMMAND ...``, or ``python -m recurra COMMAND ...``.

Exit status: 0, or 1 with one line on the standard error if something went wrong, or 2 for wrong usage.
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING

import recurra
from recurra.cli.commands import COMMANDS

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]

_DESCRIPTION = """\
Look at, run, check and convert recurrent networks: files of recurra (.safetensors) and, with the
extras installed, of ONNX (.onnx) and Keras (.keras, .h5)."""

_EXAMPLES = """\
examples:
  recurra info model.safetensors              layers, shapes, parameters
  recurra run model.onnx x.npy y.npy          outputs for an array
  recurra export model.safetensors model.c    one C file without dependencies
  recurra convert model.keras model.onnx      from one format to another
  recurra verify model.onnx                   ONNX Runtime beside recurra: differences, times
"""


def parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    made = argparse.ArgumentParser(
        prog="recurra",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--version", action="version", version=f"recurra {recurra.__version__}")
    made.add_argument("--traceback", action="store_true", help="show where in the code an error arose")
    commands = made.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for command in COMMANDS:
        part = commands.add_parser(
            command.name,
            help=command.line,
            description=command.text,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            add_help=not command.passes_on,
        )
        command.arguments(part)
        part.set_defaults(chosen=command, part=part)
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return the exit status.

    Parameters
    ----------
    arguments : sequence of str, optional
        Those of the command line if not given.

    Returns
    -------
    int
        0, or 1 after an error, whose message went to the standard error.

    Raises
    ------
    SystemExit
        With status 2 for wrong usage, with 0 after a help text or the version.

    Examples
    --------
    >>> from recurra.cli import main
    >>> main(["config"])  # doctest: +SKIP
    """
    options, rest = parser().parse_known_args(arguments)
    if rest and not options.chosen.passes_on:
        options.part.error("unrecognized arguments: " + " ".join(rest))
    options.rest = rest
    try:
        status: int = options.chosen.run(options)
        sys.stdout.flush()
    except BrokenPipeError:  # who reads has read enough, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        if options.traceback:
            raise
        print(f"recurra: {one_line(error)}", file=sys.stderr)
        return 1
    return status


def one_line(error: BaseException) -> str:
    """Return an error's message in one line."""
    text = str(error) if not isinstance(error, KeyError) else repr(error.args[0])
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        text = f"{error.filename}: {error.strerror}"
    return " ".join(text.split()) or type(error).__name__
