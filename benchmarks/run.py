"""Every case against the NumPy reference: `python benchmarks/run.py --json benchmarks/results/reference.json`.

The same program as `python -m recurra.bench`, over all cases.
"""

from recurra.bench.__main__ import main
from recurra.bench.cases import CASES

if __name__ == "__main__":
    main(names=tuple(case.name for case in CASES))
