"""Checkpoints: the state of a job that has not ended, kept on disk so that the job can go on after an interruption."""

import hashlib
import io
import logging
import time
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from pipeline.storage import whole_file

log = logging.getLogger(__name__)
SAVE_SECONDS = 60.0
SEAL = hashlib.sha256().digest_size


class Checkpoint:
    """The checkpoint file of one job, sealed: a hash of the job's identity and the content stands in front.

    Args:
        path: the file.
        identity: gives a text that is the same for two jobs only if one may go on from the state of the other.
    """

    def __init__(self, path: Path, identity: Callable[[], str]) -> None:
        self.path, self._identify = path, identity
        self._saved = time.monotonic()

    @cached_property
    def identity(self) -> str:
        """The job's identity, found when it is first needed: most jobs end before that."""
        return self._identify()

    def load(self) -> dict[str, Any] | None:
        """The saved content, its tensors on the CPU; None if there is none, or it is damaged or another job's."""
        if not self.path.exists():
            return None
        data = self.path.read_bytes()
        if data[:SEAL] != self._seal(data[SEAL:]):
            log.warning("%s is damaged or of another job: training starts anew", self.path)
            return None
        return torch.load(io.BytesIO(data[SEAL:]), map_location="cpu", weights_only=True)

    @property
    def due(self) -> bool:
        """Whether the last save, or else the beginning, is long enough ago."""
        return time.monotonic() - self._saved >= SAVE_SECONDS

    def save(self, content: dict[str, Any]) -> None:
        """Replaces the file by this content: mappings, lists, numbers, texts and tensors."""
        buffer = io.BytesIO()
        torch.save(content, buffer)
        with whole_file(self.path) as temporary:
            temporary.write_bytes(self._seal(buffer.getvalue()) + buffer.getvalue())
        self._saved = time.monotonic()

    def remove(self) -> None:
        """Removes the file, if there is one."""
        self.path.unlink(missing_ok=True)

    def _seal(self, content: bytes) -> bytes:
        return hashlib.sha256(self.identity.encode() + content).digest()
