"""Bytes and text in a form that stands inside an HTML page."""

import base64
import gzip


def base64_of(content: bytes) -> str:
    """The bytes in base64."""
    return base64.b64encode(content).decode("ascii")


def packed(text: str) -> str:
    """The text, compressed by gzip, in base64; the browser unpacks it. Equal texts give equal results."""
    return base64_of(gzip.compress(text.encode(), mtime=0))
