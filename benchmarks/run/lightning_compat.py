"""Where lightning's ways and a command line's differ."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator

LOGGERS = ("lightning.pytorch", "lightning.fabric")
# Advice that is wrong here: the data is in memory and small, so worker processes would only slow it down; the
# accelerator is a setting; and batches of evaluation may hold all there is.
ADVICE = (
    r".*isinstance\(treespec, LeafSpec\).*",  # lightning's own use of torch, which the newest torch is moving away from
    r".*does not have many workers.*",
    r".*GPU available but not used.*",
    r".*MPS available but not used.*",
    r".*sync_dist=True.*",  # what is logged is the same in all processes already
    r".*Checkpoint directory .* exists and is not empty.*",
)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """No advice and no announcements from lightning; its warnings otherwise stay."""
    loggers = [logging.getLogger(name) for name in LOGGERS]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        for advice in ADVICE:
            warnings.filterwarnings("ignore", message=advice)
        for logger in loggers:
            logger.setLevel(logging.WARNING)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Ctrl-C inside comes out as KeyboardInterrupt: lightning cleans up, and then makes a sys.exit(1) of it."""
    try:
        yield
    except SystemExit as error:
        raise KeyboardInterrupt from error
