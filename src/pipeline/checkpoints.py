"""Checkpoints: the state of a job that has not ended, kept on disk so that the job can go on after an interruption.

PyTorch is imported when a file is read or written: most jobs end before that, and some never need it otherwise.
"""

import hashlib
import io
import json
import logging
import time
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from pipeline.storage import whole_file

log = logging.getLogger(__name__)
SAVE_SECONDS = 60.0
SEAL = hashlib.sha256().digest_size


class Checkpoint:
    """The checkpoint file of one job, sealed: a hash of the job's identity and the content stands in front.

    Args:
        path: the file.
        spec: the job's specification.
        code: the fingerprint of its code.
        inputs: its input files. Only a job of the same specification, code and contents of these may go on from the
            file.
    """

    def __init__(self, path: Path, spec: dict, code: str, *inputs: Path) -> None:
        self.path, self._job = path, (spec, code, inputs)
        self._saved = time.monotonic()

    @cached_property
    def identity(self) -> str:
        """What the job's results depend on, found when it is first needed."""
        spec, code, inputs = self._job
        return json.dumps([spec, code, [_digest(path) for path in inputs]], sort_keys=True)

    def load(self) -> dict[str, Any] | None:
        """The saved content, its tensors on the CPU; None if there is none, or it is damaged or another job's."""
        if not self.path.exists():
            return None
        data = self.path.read_bytes()
        if data[:SEAL] != self._seal(data[SEAL:]):
            log.warning("%s is damaged or of another job: the job starts anew", self.path)
            return None
        import torch

        return torch.load(io.BytesIO(data[SEAL:]), map_location="cpu", weights_only=True)

    @property
    def due(self) -> bool:
        """Whether the last save, or else the beginning, is long enough ago."""
        return time.monotonic() - self._saved >= SAVE_SECONDS

    def save(self, content: dict[str, Any]) -> None:
        """Replaces the file by this content: mappings, lists, numbers, texts and tensors."""
        import torch

        buffer = io.BytesIO()
        torch.save(content, buffer)
        with whole_file(self.path) as temporary:
            temporary.write_bytes(self._seal(buffer.getvalue()) + buffer.getvalue())
        self._saved = time.monotonic()

    def remove(self) -> None:
        """Removes the file, if there is one."""
        self.path.unlink(missing_ok=True)

    def parts(self, number: int, compute: Callable[[int], Any]) -> Iterator[Any]:
        """The parts of a job's result, each as soon as there is it; saved ones are not computed again.

        Args:
            number: how many there are.
            compute: gives the part with this number, from 0; of mappings, lists, numbers, texts and tensors.
        """
        done = (self.load() or {"parts": []})["parts"]
        if done:
            log.info("%s: goes on where %d of %d were done", self.path, len(done), number)
        yield from done
        for place in range(len(done), number):
            done.append(compute(place))
            if self.due:
                self.save({"parts": done})
            yield done[-1]

    def _seal(self, content: bytes) -> bytes:
        return hashlib.sha256(self.identity.encode() + content).digest()


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
