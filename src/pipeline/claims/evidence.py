"""The tables that rules read, and what they need of them before they decide."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import pandas as pd
from pydantic import Field

from pipeline.claims.verdicts import Undecided
from pipeline.config.sections import Section
from pipeline.families import FAMILY, rows_of

REFERENCES = ("paper_critical_sample_size",)  # tables in config/reference; all others are the workflow's


class Series(Section):
    """The runs of one experiment on one task with one model."""

    experiment: str = Field(description="Name of an experiment; a config need not have it.")
    function: str = Field(description="Name of its Boolean function.")
    model: str = Field(description="Name of its model.")
    k: int = Field(ge=1, description="Sparsity.")

    def of(self, table: pd.DataFrame) -> pd.DataFrame:
        """The series' rows of a table."""
        return rows_of(table, FAMILY, (self.experiment, self.function, self.model, self.k))


@dataclass(frozen=True)
class Evidence:
    """What a claim is decided on: the tables by name, and the analysis behind them.

    ``tables`` has ``runs`` and, of the others, those that the config's experiments give. ``share`` is the success rate
    that defines the critical sample size, ``confidence`` the coverage of all intervals.
    """

    tables: Mapping[str, pd.DataFrame]
    share: float
    confidence: float

    def rows(self, table: str, series: Series) -> pd.DataFrame:
        """The series' rows of a table.

        Raises:
            Undecided: there are none.
        """
        self.require(series, 1)
        found = series.of(self.tables[table]) if table in self.tables else pd.DataFrame()
        if found.empty:
            raise Undecided(f"no rows of experiment {series.experiment} in the table {table}")
        return found

    def require(self, series: Series, runs: int) -> None:
        """Sees to it that there are so many runs at every context length of a series.

        Raises:
            Undecided: there are fewer.
        """
        own = series.of(self.tables["runs"])
        if own.empty:
            raise Undecided(self._why_none(series))
        fewest = own.groupby("T").size()
        if fewest.min() < runs:
            found = f"experiment {series.experiment} has {fewest.min()} runs at T = {fewest.idxmin()}"
            raise Undecided(f"{found}; {runs} are needed")

    def _why_none(self, series: Series) -> str:
        runs = self.tables["runs"]
        if (runs["experiment"] == series.experiment).any():
            task = f"function {series.function}, model {series.model} and k = {series.k}"
            return f"no runs of experiment {series.experiment} with {task}"
        return f"no runs of experiment {series.experiment}"


def require_count(found: int, needed: int, what: str) -> None:
    """Sees to it that there is enough of something.

    Raises:
        Undecided: there is not.
    """
    if found < needed:
        raise Undecided(f"{found} {what}; {needed} are needed")


def require_span(lengths: Collection[int], span: float) -> None:
    """Sees to it that context lengths span a factor, so that they show a growth.

    Raises:
        Undecided: they do not.
    """
    shortest, longest = min(lengths), max(lengths)
    if longest < span * shortest:
        raise Undecided(f"T from {shortest} to {longest}; a factor of {span:g} is needed")
