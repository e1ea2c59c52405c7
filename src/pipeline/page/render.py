"""The HTML of the page, from what it shows."""

from importlib.resources import files
from typing import Any

import jinja2
import vl_convert

from pipeline.claims.ledger import parted
from pipeline.durations import duration
from pipeline.figures.parts.style import VEGA_LITE

_HERE = files("pipeline.page")


def render(**content: Any) -> str:
    """The page; ``render.html.j2`` says what it takes. Vega, the style and the script stand in it once."""
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"number": _number, "duration": duration, "parted": parted}
    template, style, script = (_HERE.joinpath(f"render.{kind}").read_text("utf-8") for kind in ("html.j2", "css", "js"))
    vega = vl_convert.javascript_bundle(vl_version=VEGA_LITE).replace("</script", "<\\/script")
    return environment.from_string(template).render(**content, style=style, script=script, vega=vega)


def _number(value: float | None) -> str:
    """Four digits of a number; a dash for one that is open or unknown."""
    return "–" if value is None else f"{value:.4g}"
