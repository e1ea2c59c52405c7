"""The attention of one run over training, for the figure attention_map: a heat map of steps, and one step of it."""

import altair as alt
import numpy as np
import pandas as pd

BINS = 150  # columns of a heat map: more would be narrower than the eye resolves and fill the file
HEIGHT = 90
BACKGROUND = alt.ViewBackground(fill="#440154")  # viridis' darkest, which shows through the seams of narrow cells
CHOSEN = "#56B4E9"

_STEP = "training_step"
_EARLIER = "datum.before < {step} && {step} <= datum.step"


def slider(steps: pd.DataFrame) -> alt.Parameter:
    """The parameter that chooses a step; the end at first."""
    first, end = int(steps["step"].min()), int(steps["step"].max())
    bind = alt.binding_range(min=first, max=end, step=first, name="Training step ")
    return alt.param(name=_STEP, value=end, bind=bind)


def bin_width(T: int) -> int:
    """How many positions a column covers."""
    return -(-T // BINS)


def binned(weights: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """The largest weight of each column: the columns ``by``, weight, and the ends ``position`` and ``end``."""
    length = weights["position"].nunique()
    width = bin_width(length)
    cells = weights.assign(start=weights["position"] // width * width)
    cells = cells.groupby([*by, "start"], as_index=False)["weight"].max()
    return cells.assign(position=cells["start"] - 0.5, end=np.minimum(cells["start"] + width, length) - 0.5)


def over_steps(steps: pd.DataFrame) -> pd.DataFrame:
    """The weights at every evaluation in columns; a row reaches from the evaluation ``before`` to its own ``step``."""
    evaluations = np.sort(steps["step"].unique())
    before = dict(zip(evaluations, [0, *evaluations], strict=False))
    cells = binned(steps, ["step"])
    return cells.assign(before=cells["step"].map(before))


def heat_map(cells: pd.DataFrame, x: alt.X, largest: float, width: int) -> alt.LayerChart:
    """The weights over training, from its beginning down to its end, and a line at the chosen step."""
    end = int(cells["step"].max())
    scale = alt.Scale(domain=[0, end], nice=False, reverse=True)
    axis = alt.Axis(values=[0, end], format="d", minExtent=40, grid=False)
    y = alt.Y("before:Q", title="Step", scale=scale, axis=axis)
    colours = alt.Scale(scheme="viridis", domain=[0, largest])
    colour = alt.Color("weight:Q", scale=colours, legend=None)
    tooltip = ["step:Q", "start:Q", alt.Tooltip("weight:Q", format=".3f")]
    rows = alt.Chart(cells).mark_rect(aria=False).encode(x, y, colour, x2="end:Q", y2="step:Q", tooltip=tooltip)
    chosen = alt.Chart(pd.DataFrame({"end": [end]})).transform_filter(f"{_STEP} < datum.end")
    chosen = chosen.transform_calculate(before=_STEP).mark_rule(color="white", strokeWidth=2, aria=False).encode(y)
    return alt.layer(rows, chosen).properties(width=width, height=HEIGHT, view=BACKGROUND)


def outline(cells: pd.DataFrame, x: alt.X, y: alt.Y) -> alt.Chart:
    """The weights at the chosen step; none at the end, which the figure shows anyway."""
    closed = pd.concat([cells, cells.groupby("step").tail(1).assign(position=lambda last: last["end"])])
    line = alt.Chart(closed).transform_filter(_EARLIER.format(step=_STEP))
    line = line.transform_filter(f"{_STEP} < {int(cells['step'].max())}")
    return line.mark_line(interpolate="step-after", color=CHOSEN, strokeWidth=2, aria=False).encode(x, y)
