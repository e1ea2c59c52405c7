"""Arrow tables from rows of Python values, as ``pa.Table.from_pylist`` makes them, without pandas.

pyarrow's own conversion imports pandas, a quarter of a second of each job, to see whether a list is a series.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa


def table_of(rows: Iterable[Mapping[str, Any]], schema: pa.Schema) -> pa.Table:
    """A table with a chunk for each row; bytes are not copied.

    Args:
        rows: at least one; each has a value, or None, for every field: a number or bool, text, bytes, or a sequence
            of numbers or bools, in which None becomes NaN.
        schema: the fields; what else a row has is left out.
    """
    columns = ([_array(row[field.name], field.type) for field in schema] for row in rows)
    return pa.concat_tables(pa.Table.from_arrays(arrays, schema=schema) for arrays in columns)


def _array(value: Any, kind: pa.DataType) -> pa.Array:
    """One value."""
    if value is None:
        return pa.nulls(1, kind)
    if pa.types.is_list(kind):
        return pa.Array.from_buffers(kind, 1, [None, _offsets(value)], children=[_numbers(value, kind.value_type)])
    if kind in (pa.string(), pa.binary()):
        data = value.encode() if isinstance(value, str) else value
        return pa.Array.from_buffers(kind, 1, [None, _offsets(data), pa.py_buffer(data)])
    return _numbers([value], kind)


def _numbers(values: Sequence, kind: pa.DataType) -> pa.Array:
    numbers = np.asarray(values, kind.to_pandas_dtype())
    if pa.types.is_boolean(kind):
        numbers = np.packbits(numbers, bitorder="little")
    return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(numbers)])


def _offsets(value: Sequence) -> pa.Buffer:
    """Where a value of any length begins and ends."""
    return pa.py_buffer(np.array([0, len(value)], np.int32))
