"""``python -m recurra``: the command line; see `recurra.cli`."""

import sys

from recurra.cli import main

if __name__ == "__main__":
    sys.exit(main())
