"""What ends a figure's command: to the terminal in a line where that is enough, to the log with all that is known."""

import logging
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import TracebackType

from pipeline.jobs import arguments

log = logging.getLogger(__name__)


def log_to(path: Path) -> None:
    """As for the other jobs, but of a table that cannot be drawn the terminal is spared the traceback."""
    arguments.log_to(path)
    logging.root.handlers[0].setLevel(logging.WARNING)
    sys.excepthook = partial(_report, path, sys.excepthook)


def _report(
    path: Path, others: Callable, kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    if kind is ValueError:
        log.info("raised here:", exc_info=(kind, error, trace))
        log.critical("figure %s: %s; more is in %s", path.stem, error, path)
    else:
        others(kind, error, trace)
