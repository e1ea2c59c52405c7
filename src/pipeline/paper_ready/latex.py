"""The table of critical sample sizes in LaTeX, for the package booktabs."""

import pandas as pd

from pipeline.labels import learner_label, task_label

HEAD = r"""\begin{tabular}{llrrr}
\toprule
Function & Learner & $T$ & $n_\mathrm{critical}$ & $n_\mathrm{grid}$ \\
\midrule"""
FOOT = r"""\bottomrule
\end{tabular}"""
SIDES = {"above": r"above the grid", "below": r"below the grid"}


def critical_sizes(critical: pd.DataFrame) -> str:
    """The table, a row a critical size, in the order of the given rows.

    Args:
        critical: columns function, model, k, T, n_critical, ci_low, ci_high, n_grid, censored and censored_side. An
            open end of an interval is a dash.
    """
    rows, before = [], None
    for row in critical.itertuples(index=False):
        labels = (task_label(row.function, row.k), learner_label(row.model))
        shown = ("", "") if labels == before else labels
        before = labels
        grid = "--" if pd.isna(row.n_grid) else str(row.n_grid)
        rows.append(" & ".join([*map(_escape, shown), str(row.T), _size(row), grid]) + r" \\")
    return "\n".join([HEAD, *rows, FOOT]) + "\n"


def _size(row: tuple) -> str:
    if row.censored:
        return SIDES[row.censored_side]
    low, high = ("--" if pd.isna(end) else f"{end:.1f}" for end in (row.ci_low, row.ci_high))
    return f"{row.n_critical:.1f} [{low}, {high}]"


def _escape(text: str) -> str:
    return "".join(f"\\{sign}" if sign in "&%$#_{}" else sign for sign in text)
