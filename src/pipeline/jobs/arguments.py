"""The command line that the jobs share."""

import argparse
import gc
import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from pipeline.jobs import LESS_MEMORY
from pipeline.storage import TornFileError, writing

log = logging.getLogger(__name__)


def parse(
    description: str, *paths: str, argv: Sequence[str] | None = None, **options: dict[str, Any]
) -> argparse.Namespace:
    """Reads ``--spec`` (a JSON object), ``--log``, the named paths and further options, required unless they say so.

    The job's messages go to standard error and to the log file.

    Args:
        description: the help text.
        paths: names of options that are one path each.
        argv: what is read; None: the command line of the process.
        options: names of further options with the arguments of ``add_argument``.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--spec", type=json.loads, required=True, help="the job's settings, a JSON object")
    for name, details in {**{name: {"type": Path} for name in (*paths, "log")}, **options}.items():
        parser.add_argument(f"--{name}", **{"required": True} | details)
    arguments = parser.parse_args(argv)
    _log_to(arguments.log)
    gc.freeze()  # what the imports made lives to the end; without this, training jobs walk it at exit, for 0.3 seconds
    return arguments


def log_to(path: Path) -> None:
    """Has messages, and what ends the process, go to standard error and to a log file: of commands with other options.

    :func:`parse` does not use it: the name would be new code of every job, and train all runs again.
    """
    _log_to(path)


def _log_to(path: Path) -> None:
    sys.excepthook = _report
    logging.raiseExceptions = False  # a message that a full disk does not take ends no job and fills no screen
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    terminal = logging.root.handlers[0]
    with writing(path):
        file = logging.FileHandler(path, mode="w")
    file.setFormatter(terminal.formatter)
    logging.root.addHandler(file)


def _report(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Logs what ended the job; of trouble with files or memory, whose message says it all, without the traceback."""
    if isinstance(error, KeyboardInterrupt):
        log.critical("interrupted")
    elif _out_of_memory(error):
        log.critical("out of memory (%s); %s", str(error).strip() or kind.__name__, LESS_MEMORY)
    else:
        expected = isinstance(error, OSError | TornFileError)
        log.critical("%s", error, exc_info=None if expected else (kind, error, trace))


def _out_of_memory(error: BaseException) -> bool:
    """Whether Python, numpy, pyarrow or torch wants memory; the error of torch has no class of its own on the CPU."""
    told = "allocate memory" in str(error) or "CUDA out of memory" in str(error)
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and told)
