"""Tables from rows, against pyarrow's own conversion."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.rows import table_of

SCHEMA = pa.schema(
    {
        "text": pa.string(),
        "bytes": pa.binary(),
        "flag": pa.bool_(),
        "count": pa.int32(),
        "value": pa.float64(),
        "flags": pa.list_(pa.bool_()),
        "counts": pa.list_(pa.int32()),
        "values": pa.list_(pa.float32()),
    },
    {"n": "3"},
)
COUNTS = st.integers(-(2**31), 2**31 - 1)
FIELDS = {
    "text": st.text(),
    "bytes": st.binary(),
    "flag": st.booleans(),
    "count": COUNTS,
    "value": st.floats(allow_nan=False),
    "flags": st.lists(st.booleans(), max_size=20),
    "counts": st.lists(COUNTS),
    "values": st.lists(st.floats(width=32, allow_nan=False)),
}
ROW = st.fixed_dictionaries({name: values | st.none() for name, values in FIELDS.items()} | {"other": st.just(1)})


@given(st.lists(ROW, min_size=1, max_size=5))
def test_the_table_is_that_of_pyarrow(rows):
    table = table_of(rows, SCHEMA)
    table.validate(full=True)
    assert table.equals(pa.Table.from_pylist(rows, SCHEMA), check_metadata=True)


def test_arrays_and_views_are_sequences_too():
    row = dict.fromkeys(FIELDS) | {"flags": np.array([True, False, True]), "bytes": memoryview(b"abc"), "value": np.nan}
    table = table_of([row], SCHEMA)
    assert table["flags"].to_pylist() == [[True, False, True]]
    assert table["bytes"].to_pylist() == [b"abc"]
    assert np.isnan(table["value"][0].as_py())


def test_a_number_that_does_not_fit_is_refused():
    with pytest.raises(OverflowError):
        table_of([dict.fromkeys(FIELDS) | {"count": 2**31}], SCHEMA)
