"""Compiles exported C files, several into one program, and runs them on arrays."""

import shutil
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import recurra
from recurra.cexport.interface import interface_of

C99 = ("-std=c99", "-Wall", "-Wextra", "-pedantic", "-Werror")
STRICT = (*C99, "-Wconversion", "-Wshadow", "-Wdouble-promotion", "-Wmissing-prototypes", "-Wstrict-prototypes")


class Ran(NamedTuple):
    """What a file computed for one sample: all outputs of ``run``, and of step by step where there is ``step``."""

    whole: list[np.ndarray]
    steps: list[np.ndarray] | None


class Job(NamedTuple):
    """A model, and its inputs without a batch axis."""

    model: Any
    inputs: list[np.ndarray]
    weights: str = "float32"


def expected(model: Any, inputs: list[np.ndarray]) -> list[np.ndarray]:
    """What Python computes, without the batch axis."""
    given = [array[None] for array in inputs]
    made = model(given if model.merges else given[0])
    return [array[0] for array in (made if isinstance(made, list) else [made])]


def run_all(folder: Path, jobs: list[Job], compiler: str = "gcc", flags: tuple[str, ...] = ("-O1",), runner=()) -> Any:
    """Export all models, compile them into one program with all warnings as errors, run it; a `Ran` for each."""
    parts, data, plans = [], [], []
    for index, job in enumerate(jobs):
        name = f"m{index}"
        job.model.export_c(folder / f"{name}.c", name=name, weights=job.weights)
        made = expected(job.model, job.inputs)
        streams = interface_of(job.model).streams
        parts.append(_part(name, job, made, streams))
        data += [array.astype(np.int32 if array.dtype.kind in "iu" else np.float32).tobytes() for array in job.inputs]
        plans.append((made, streams))
    includes = "".join(f'#include "m{index}.c"\n' for index in range(len(jobs)))
    calls = "".join(f"  part_m{index}();\n" for index in range(len(jobs)))
    main = folder / "main.c"
    body = f"{includes}{_READ}{''.join(parts)}int main(void) {{\n{calls}  return 0;\n}}\n"
    main.write_text(f"#include <stdio.h>\n#include <stdlib.h>\n{body}")
    subprocess.run([compiler, *STRICT, *flags, str(main), "-o", str(folder / "main")], check=True)
    command = [*runner, str(folder / "main")]
    out = subprocess.run(command, input=b"".join(data), check=True, stdout=subprocess.PIPE).stdout
    return list(_split(np.frombuffer(out, np.float32), plans))


_READ = """
static void get(void *to, size_t size, size_t count) {
  if (fread(to, size, count, stdin) != count) exit(3);
}
static void put(const float *from, size_t count) {
  if (fwrite(from, sizeof(float), count, stdout) != count) exit(4);
}
"""


def _part(name: str, job: Job, made: list[np.ndarray], streams: bool) -> str:
    """The C that reads the inputs of one model, runs it and writes its outputs; buffers are as small as may be."""
    lines, x, y = [f"static void part_{name}(void) {{", f"  static {name}_state s;"], [], []
    for index, array in enumerate(job.inputs):
        kind = "int32_t" if array.dtype.kind in "iu" else "float"
        lines += [f"  {kind} *x{index} = malloc({max(array.size, 1)} * sizeof({kind}));"]
        lines += [f"  get(x{index}, sizeof({kind}), {array.size});"]
        x.append((f"x{index}", 1 if kind == "int32_t" else array.shape[-1], _timed(array, job)))
    for index, array in enumerate(made):
        lines += [f"  float *y{index} = malloc({array.size} * sizeof(float));"]
        y.append((f"y{index}", array.shape[-1], array.ndim > 1))
    vectors = not any(timed for _, _, timed in x)
    steps = 1 if vectors else next(len(array) for array, (_, _, timed) in zip(job.inputs, x, strict=True) if timed)
    work = "" if streams else "work, "
    if not streams:
        lines += [f"  float *work = malloc({name.upper()}_WORKSPACE({steps}) * sizeof(float));"]
    names = ", ".join(one for one, _, _ in x)
    outputs = ", ".join(one for one, _, _ in y)
    rows = len(made[0]) if made[0].ndim > 1 else 1
    lines += [f"  {name}_reset(&s);", f"  if ({name}_run(&s, {names}, {steps}, {work}{outputs}) != {rows}) exit(5);"]
    lines += [f"  if ({name.upper()}_OUTPUT_ROWS({steps}) != {rows}) exit(6);"]
    puts = [f"  put({one}, {array.size});" for (one, _, _), array in zip(y, made, strict=True)]
    lines += puts
    if streams:
        moved = [f"{one} + t * {width}" if timed else one for one, width, timed in [*x, *y]]
        lines += [
            f"  {name}_reset(&s);",
            f"  for (int t = 0; t < {steps}; ++t) {name}_step(&s, {', '.join(moved)});",
            *puts,
        ]
    lines += [f"  free({one});" for one, _, _ in [*x, *y]] + ([] if streams else ["  free(work);"])
    return "\n".join([*lines, "}\n"])


def _timed(array: np.ndarray, job: Job) -> bool:
    """Whether the rows of an input are steps; a single row beside other inputs goes with all of their steps."""
    return array.dtype.kind in "iu" or (array.ndim > 1 and (len(array) > 1 or len(job.inputs) == 1))


def _split(numbers: np.ndarray, plans: list[Any]) -> Any:
    place = 0

    def take(made: list[np.ndarray]) -> list[np.ndarray]:
        nonlocal place
        found = []
        for array in made:
            found.append(numbers[place : place + array.size].reshape(array.shape))
            place += array.size
        return found

    for made, streams in plans:
        yield Ran(take(made), take(made) if streams else None)
    assert place == numbers.size


def assert_close(job: Job, ran: Ran, tolerance: float = 1e-5, model: Any = None) -> None:
    """Outputs differ by at most the tolerance, or that share of the largest output."""
    for made in [ran.whole, *([] if ran.steps is None else [ran.steps])]:
        for found, wanted in zip(made, expected(model or job.model, job.inputs), strict=True):
            allowed = tolerance * max(1.0, float(np.abs(wanted).max(initial=0.0)))
            np.testing.assert_allclose(found, wanted, rtol=0, atol=allowed)


def has(program: str) -> bool:
    return shutil.which(program) is not None


def randomised(model: Any, seed: int) -> Any:
    """The built model with random parameters: gains and statistics that are not 1 and 0."""
    rng = np.random.default_rng(seed)
    for name, view in model.parameters.items():
        noise = rng.uniform(-0.3, 0.3, view.shape)
        view[...] = view * rng.uniform(0.5, 1.2, view.shape) + noise
        if name.endswith("variance"):
            view[...] = np.abs(view) + 0.1
    return model


def sequential(*layers: Any, shape: tuple[int | None, ...]) -> Any:
    model = recurra.Sequential(list(layers))
    model.build(shape)
    return model
