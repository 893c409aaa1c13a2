"""Times a step of exported C files: LSTM + Dense(1), one input, one row.

    python benchmarks/onefile.py --compilers gcc clang --weights float32 int8

Each file first checks itself against Python. Times are nanoseconds of one ``model_step``, each step's input depending
on the output before; the median of repeats, with the quartiles.
"""

import argparse
import contextlib
import io
import shutil
import subprocess
import tempfile
from pathlib import Path

import recurra

UNITS = (8, 16, 32, 40, 64, 256)
FLAGS = ["-std=gnu99", "-O3", "-march=native"]

TIMER = """
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "model.c"

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int compare(const void *a, const void *b) {
  return *(const double *)a < *(const double *)b ? -1 : *(const double *)a > *(const double *)b;
}

int main(int count, char **words) {
  static model_state s;
  enum { REPEATS = 25 };
  const int steps = count > 1 ? atoi(words[1]) : 1;
  double times[REPEATS];
  float y = 0.0f;
  model_reset(&s);
  for (int r = -1; r < REPEATS; ++r) {
    const double start = now();
    for (int t = 0; t < steps; ++t) {
      const float x = 0.5f - y;
      model_step(&s, &x, &y);
    }
    if (r >= 0) times[r] = (now() - start) / steps;
  }
  qsort(times, REPEATS, sizeof(double), compare);
  printf("%.0f (%.0f-%.0f)\\n", times[REPEATS / 2], times[REPEATS / 4], times[3 * REPEATS / 4]);
  return y != y;
}
"""


def measure(units: int, compiler: str, weights: str, seconds: float) -> str:
    """The text of one cell of the table."""
    recurra.set_random_seed(units)
    model = recurra.Sequential([recurra.LSTM(units, return_sequences=True), recurra.Dense(1)])
    model.build((None, None, 1))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        with contextlib.redirect_stdout(io.StringIO()):  # the report of the accuracy
            model.export_c(path / "model.c", weights=weights)
        program = str(path / "program")
        subprocess.run([compiler, *FLAGS, "-DMODEL_TEST", str(path / "model.c"), "-o", program], check=True)
        subprocess.run([program], check=True, stdout=subprocess.DEVNULL)
        (path / "timer.c").write_text(TIMER)
        subprocess.run([compiler, *FLAGS, str(path / "timer.c"), "-o", program], check=True)
        steps = max(1, int(seconds / 26 / (1e-7 + 5e-11 * 4 * units * (units + 2))))
        return subprocess.run([program, str(steps)], check=True, capture_output=True, text=True).stdout.strip()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--compilers", nargs="+", default=["gcc", "clang"])
    parser.add_argument("--weights", nargs="+", default=["float32"], choices=["float32", "float16", "int8"])
    parser.add_argument("--units", nargs="+", type=int, default=list(UNITS))
    parser.add_argument("--seconds", type=float, default=0.5, help="for each number")
    arguments = parser.parse_args()
    compilers = [name for name in arguments.compilers if shutil.which(name)]
    sides = [(compiler, weights) for compiler in compilers for weights in arguments.weights]
    print(f"ns per step, median (quartiles); {' '.join(FLAGS)}")
    print("units".ljust(8) + "".join(f"{compiler} {weights}".ljust(26) for compiler, weights in sides))
    for units in arguments.units:
        cells = [measure(units, *side, arguments.seconds) for side in sides]
        print(str(units).ljust(8) + "".join(cell.ljust(26) for cell in cells), flush=True)


if __name__ == "__main__":
    main()
