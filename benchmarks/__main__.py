"""`python -m benchmarks`."""

import signal
import sys

ON_INTERRUPT = signal.getsignal(signal.SIGINT)
IS_PROGRAM = __name__ == "__main__"
if IS_PROGRAM and ON_INTERRUPT is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends the seconds of imports that follow without a traceback

from benchmarks.cli import main  # noqa: E402 - see above
from benchmarks.support.terminal import encode_what_it_can  # noqa: E402

if IS_PROGRAM:
    signal.signal(signal.SIGINT, ON_INTERRUPT)
    encode_what_it_can(sys.stdout, sys.stderr)
    sys.exit(main(sys.argv[1:]))
