"""`python -m benchmarks`."""

import sys

from benchmarks.cli import main
from benchmarks.support.terminal import encode_what_it_can

if __name__ == "__main__":
    encode_what_it_can(sys.stdout, sys.stderr)
    sys.exit(main(sys.argv[1:]))
