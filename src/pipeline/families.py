"""Families of runs, those of one experiment, function, model and sparsity: the columns that tell them apart."""

import pandas as pd

FAMILY = ["experiment", "function", "model", "k"]
CELL = [*FAMILY, "T", "n"]


def rows_of(table: pd.DataFrame, columns: list[str], values: tuple) -> pd.DataFrame:
    """The rows of a table whose columns have these values."""
    return table[(table[columns] == list(values)).all(axis=1)]
