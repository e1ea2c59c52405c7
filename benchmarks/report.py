"""Shows what the benchmarks measured: a page of tables and two figures."""

import json
from collections.abc import Callable
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from pipeline.commands.publish import keep
from pipeline.figures.parts import style
from pipeline.storage import read_frame
from workers import Mode

COMMAND = "make bench"
GOALS = {(100, 50): 20, (300, 80): 50}  # how many times faster than the best rival, by (T, n)
SHARE_GOAL = 0.5  # of the peak, in cells without rivals
SLOPE_FROM = 10_000  # the T from which slopes on log axes are fitted; below, what does not depend on T is large
CASE = ["processes", "threads", "T", "n"]


def digits(number: float) -> str:
    """Three significant digits, without an exponent."""
    return f"{float(f'{number:.3g}'):.10g}"


def percent(share: float) -> str:
    """A share in percent."""
    return f"{digits(100 * share)} %"


STEP_COLUMNS = {
    "implementation": str,
    "runs": str,
    "ms_per_step_per_run": digits,
    "times_engine": digits,
    "share_of_peak": percent,
    "effective_share_of_peak": percent,
    "peak_memory_mib": str,
}
LARGE_COLUMNS = {"T": str, "ms_per_step": digits, "peak_memory_mib": str}


def write(results: Path, target: Path) -> str:
    """Draws the figures, copies them with the tables and a manifest, and writes and returns the page ``table.md``.

    Args:
        results: the folder of ``tables/{steps,large}.parquet``; the figures go beside them.
        target: where all is kept.
    """
    steps, large = (read_frame(results / f"tables/{name}.parquet") for name in ("steps", "large"))
    style.save(steps_chart(fastest(steps)), results / "figures", "steps")
    style.save(large_chart(large), results / "figures", "large")
    keep_all(results, target, COMMAND)
    page = "\n\n".join([_heading(target, steps), *_cases(fastest(steps)), _large(large)]) + "\n"
    (target / "table.md").write_text(page, encoding="utf-8")
    return page


def keep_all(results: Path, target: Path, command: str) -> None:
    """Keeps the tables and the figures of a folder, with a manifest."""
    files = [path for kind in ("tables/*.parquet", "figures/*.svg", "figures/*.png") for path in results.glob(kind)]
    keep(sorted(files), target, command, results)


def fastest(steps: pd.DataFrame) -> pd.DataFrame:
    """Each implementation with its best number of runs in each case, the fastest first; ``times_engine`` is added."""
    best = steps.loc[steps.groupby([*CASE, "implementation"])["ms_per_step_per_run"].idxmin()]
    engine = best[best["implementation"] == "engine"].set_index(CASE)["ms_per_step_per_run"].rename("engine")
    best = best.join(engine, on=CASE)
    best["times_engine"] = best["ms_per_step_per_run"] / best.pop("engine")
    return best.sort_values([*CASE, "ms_per_step_per_run"], ignore_index=True)


def verdict(case: pd.DataFrame) -> str:
    """What the rows of one case say about its goal."""
    if len(case) == 1:
        share = case["effective_share_of_peak"].iloc[0]
        outcome = "met" if share >= SHARE_GOAL else "not met"
        reached = f"The engine's effective share of the peak is {percent(share)}"
        return f"{reached}; the goal of {percent(SHARE_GOAL)} is {outcome}."
    rival = case[case["implementation"] != "engine"].iloc[0]
    goal = GOALS[rival["T"], rival["n"]]
    outcome = "met" if rival["times_engine"] >= goal else "not met"
    times = f"{digits(rival['times_engine'])} times as long as the engine"
    return f"The best rival, {rival['implementation']}, takes {times}; the goal of {goal} is {outcome}."


def line(large: pd.DataFrame, column: str) -> tuple[float, float]:
    """Growth per token and constant part of a column, by least squares of relative deviations."""
    growth, constant = np.polyfit(large["T"], large[column], 1, w=1 / large[column])
    return growth, constant


def slope(large: pd.DataFrame, column: str) -> float:
    """The power of T by which a column grows for large T, by least squares on log axes."""
    far = large[large["T"] >= SLOPE_FROM]
    return np.polyfit(np.log(far["T"]), np.log(far[column]), 1)[0]


def origin(target: Path) -> str:
    """The command, the commit and the machine of what is kept in a folder, in words."""
    made = json.loads((target / "manifest.json").read_text())
    changes = " with uncommitted changes" if made["uncommitted_changes"] else ""
    where = f"at commit {made['commit'][:9]}{changes}" if made["commit"] else "outside of a checkout"
    return f"`{made['command']}` {where}; {made['machine']['processor']}, {made['machine']['cores']} cores"


def _heading(target: Path, steps: pd.DataFrame) -> str:
    software = f"torch {version('torch')}, {_jax()}"
    return (
        f"# Measured {date.today()}\n\n{origin(target)}; {software}. "
        f"Medians over rounds, {steps['rounds'].iloc[0]} of them. [README.md](README.md) explains the columns."
    )


def _jax() -> str:
    try:
        return f"jax {version('jax')}"
    except PackageNotFoundError:
        return "jax not installed (pip install --editable '.[jax]'), so its rows are absent"


def _cases(best: pd.DataFrame) -> list[str]:
    return [
        f"## T = {T}, n = {n}; {Mode(processes, threads).label}\n\n{verdict(case)}\n\n{markdown(case, STEP_COLUMNS)}"
        for (processes, threads, T, n), case in best.groupby(CASE)
    ]


def _large(large: pd.DataFrame) -> str:
    heading = f"## One run against T; n = {large['n'].iloc[0]}, {Mode(1, 1).label}"
    return "\n\n".join([heading, *_laws(large), markdown(large, LARGE_COLUMNS)])


def _laws(large: pd.DataFrame) -> list[str]:
    """The growth of time and memory in words."""
    return [
        _law(large, "ms_per_step", "Time: {} ms + T · {} µs", 1000),
        _law(large, "peak_memory_mib", "Peak memory: {} MiB + T · {} KiB", 1024),
    ]


def _law(large: pd.DataFrame, column: str, form: str, factor: int) -> str:
    growth, constant = line(large, column)
    off = (large[column] / (growth * large["T"] + constant) - 1).abs().max()
    law = form.format(digits(constant), digits(factor * growth))
    return f"{law}, at most {100 * off:.0f} % off; slope on log axes from T = {SLOPE_FROM}: {slope(large, column):.2f}."


def markdown(table: pd.DataFrame, columns: dict[str, Callable[[Any], str]]) -> str:
    """Some columns of a table as Markdown, each with its form; nothing for a missing value."""
    rows = [
        ["" if pd.isna(value) else form(value) for form, value in zip(columns.values(), row, strict=True)]
        for row in table[list(columns)].itertuples(index=False)
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in [list(columns), ["---"] * len(columns), *rows])


def steps_chart(best: pd.DataFrame) -> alt.FacetChart:
    """Time of a step of each implementation: a row of panels for each (T, n) with rivals, a column for each mode."""
    best = best[best.groupby(CASE)["implementation"].transform("size") > 1]
    shown = best.assign(
        cell=[f"T = {row.T}, n = {row.n}" for row in best.itertuples()],
        mode=[Mode(row.processes, row.threads).label for row in best.itertuples()],
        label=[f"{digits(row.ms_per_step_per_run)} ms, ×{digits(row.times_engine)}" for row in best.itertuples()],
    )
    times = best["ms_per_step_per_run"]
    room = alt.Scale(type="log", domain=[times.min() / 2, times.max() * 100])  # for the labels
    powers = alt.Axis(values=[10.0**exponent for exponent in range(-3, 7)], format="~g", grid=False)
    order = list(best.groupby("implementation")["ms_per_step_per_run"].mean().sort_values().index)
    is_engine = alt.datum.implementation == "engine"
    base = alt.Chart(shown, width=style.WIDTH // 2 + 40, height=32 * len(order)).encode(
        alt.X("ms_per_step_per_run:Q", title="Time per step and run (ms, log)", scale=room, axis=powers),
        alt.Y("implementation:N", title=None, sort=order, axis=alt.Axis(labelLimit=260, grid=True)),
        color=alt.condition(is_engine, alt.value(style.LEARNERS["transformer"]), alt.value(style.INK)),
    )
    dots = base.mark_circle(size=130, opacity=1)
    labels = base.mark_text(align="left", dx=11, fontSize=13).encode(text="label:N")
    return alt.layer(dots, labels).facet(
        row=alt.Row("cell:N", title=None, sort=list(shown["cell"].unique())),
        column=alt.Column("mode:N", title=None, sort=list(shown["mode"].unique())),
        title=alt.Title("Time of a training step", subtitle="× is the time over the engine's"),
    )


def large_chart(large: pd.DataFrame) -> alt.HConcatChart:
    """Time and peak memory against T, with the fitted lines."""
    panels = [
        _panel(large, "ms_per_step", "Time per step (ms, log)"),
        _panel(large, "peak_memory_mib", "Peak memory (MiB, log)"),
    ]
    title = alt.Title(f"One run with n = {large['n'].iloc[0]} against the context length", subtitle=_laws(large))
    return alt.hconcat(*panels, title=title)


def _panel(large: pd.DataFrame, column: str, title: str) -> alt.LayerChart:
    growth, constant = line(large, column)
    fitted = pd.DataFrame({"T": np.geomspace(large["T"].min(), large["T"].max(), 50)})
    fitted[column] = growth * fitted["T"] + constant
    powers = alt.Axis(values=[10.0**exponent for exponent in range(-2, 7)], format="~g")
    x = alt.X("T:Q", title="Context length T (log)", scale=alt.Scale(type="log"), axis=powers)
    y = alt.Y(f"{column}:Q", title=title, scale=alt.Scale(type="log"), axis=powers)
    curve = alt.Chart(fitted).mark_line(color=style.INK, strokeDash=[5, 4]).encode(x, y)
    points = alt.Chart(large).mark_circle(size=110, opacity=1, color=style.LEARNERS["transformer"]).encode(x, y)
    return alt.layer(curve, points).properties(width=style.WIDTH // 2, height=style.HEIGHT * 3 // 4)
