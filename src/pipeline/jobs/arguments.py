"""The command line that the jobs share."""

import argparse
import gc
import json
import logging
import sys
from pathlib import Path
from types import TracebackType
from typing import Any

from pipeline.storage import TornFileError

log = logging.getLogger(__name__)


def parse(description: str, *paths: str, **options: dict[str, Any]) -> argparse.Namespace:
    """Reads ``--spec`` (a JSON object), ``--log``, the named paths and further options, required unless they say so.

    The job's messages go to standard error and to the log file.

    Args:
        description: the help text.
        paths: names of options that are one path each.
        options: names of further options with the arguments of ``add_argument``.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--spec", type=json.loads, required=True, help="the job's settings, a JSON object")
    for name, details in {**{name: {"type": Path} for name in (*paths, "log")}, **options}.items():
        parser.add_argument(f"--{name}", **{"required": True} | details)
    arguments = parser.parse_args()
    _log_to(arguments.log)
    gc.freeze()  # what the imports made lives to the end; without this, training jobs walk it at exit, for 0.3 seconds
    return arguments


def _log_to(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handlers = [logging.StreamHandler(sys.stderr), logging.FileHandler(path, mode="w")]
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", handlers=handlers)
    sys.excepthook = _report


def _report(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Logs what ended the job; of trouble with files, whose message says it all, without the traceback."""
    expected = isinstance(error, OSError | TornFileError)
    log.critical("%s", error, exc_info=None if expected else (kind, error, trace))
