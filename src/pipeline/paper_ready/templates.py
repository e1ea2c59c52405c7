"""The measures of conference templates, from their style files, in inches."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Template:
    """Widths that a figure may have, and the family of the text.

    Attributes:
        column: width of a column; of the text where there is one column.
        text: width of the text.
        font: families in order of preference; the last is there everywhere.
    """

    column: float
    text: float
    font: str = "Times New Roman, Liberation Serif, Times, serif"


TEMPLATES = {
    "acl": Template(3.03, 6.3),
    "iclr": Template(5.5, 5.5),
    "icml": Template(3.25, 6.75),
    "jmlr": Template(6.0, 6.0, "Latin Modern Roman, Computer Modern, serif"),
    "neurips": Template(5.5, 5.5),
}
