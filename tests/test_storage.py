"""Parquet files: whole or not at all, and damage is noticed."""

import errno
import signal
import subprocess
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.seals import END_SIZE, SEAL
from pipeline.storage import (
    StoredRows,
    TornFileError,
    read_frame,
    read_table,
    whole_file,
    write_frame,
    write_row_groups,
    write_table,
)

FRAME = pd.DataFrame({"n": [10, 20, 30], "rate": [0.1, 0.5, None], "name": ["a", "b", "c"]})


def test_a_frame_survives_the_round_trip(tmp_path):
    write_frame(FRAME, tmp_path / "deep" / "table.parquet")
    pd.testing.assert_frame_equal(read_frame(tmp_path / "deep" / "table.parquet"), FRAME)


def test_arrow_gets_no_file_of_pythons(tmp_path, monkeypatch):
    """One job in a hundred was aborted at its end, while a thread of Arrow's let go of it."""
    write_frame(FRAME, tmp_path / "table.parquet")
    given = []
    opened = pq.ParquetFile
    monkeypatch.setattr(pq, "ParquetFile", lambda source, **options: given.append(source) or opened(source, **options))
    read_table(tmp_path / "table.parquet")
    assert given == [tmp_path / "table.parquet"]


def test_nothing_appears_when_writing_fails(tmp_path):
    path = tmp_path / "table.parquet"
    write_frame(FRAME, path)
    before = path.read_bytes()
    with pytest.raises(RuntimeError, match="interrupted"), whole_file(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError("interrupted")
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_nothing_appears_when_the_writer_is_killed(tmp_path):
    killed = """if True:
        import os, signal, sys
        from pathlib import Path
        from pipeline.storage import whole_file
        with whole_file(Path(sys.argv[1])) as temporary:
            temporary.write_text("half")
            os.kill(os.getpid(), signal.SIGKILL)"""
    path = tmp_path / "table.parquet"
    assert subprocess.run([sys.executable, "-c", killed, path]).returncode == -signal.SIGKILL
    (remnant,) = tmp_path.iterdir()
    assert remnant.name.startswith(".table.parquet.")


def test_a_full_disk_names_the_file_and_the_mend(tmp_path):
    path = tmp_path / "table.parquet"
    problem = f"cannot write {path}: No space left on device; free some space"
    with pytest.raises(OSError, match=problem) as caught, whole_file(path):
        raise OSError(errno.ENOSPC, "pyarrow says it otherwise")
    assert caught.value.errno == errno.ENOSPC
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("keep", [0, 3, 200, -1])
def test_a_truncated_file_is_named(tmp_path, keep):
    path = tmp_path / "table.parquet"
    write_frame(FRAME, path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(TornFileError, match=rf"{path} is damaged .*; delete it and run snakemake again"):
        read_table(path)


def outcome(path) -> str:
    """Whether a file is read as FRAME, found damaged, or read as something else."""
    try:
        return "whole" if read_frame(path).equals(FRAME) else "misread"
    except TornFileError:
        return "damaged"


def test_a_flipped_bit_is_noticed_wherever_it_is(tmp_path):
    path = tmp_path / "table.parquet"
    write_frame(FRAME, path)
    data = path.read_bytes()
    seal = data.index(SEAL)
    for place in range(0, len(data), 3):
        path.write_bytes(data[:place] + bytes([data[place] ^ 1 << place % 8]) + data[place + 1 :])
        # without its mark the seal is none, but then the flipped bit is not in the data
        assert outcome(path) == ("whole" if seal <= place < seal + len(SEAL) else "damaged"), place


def test_page_checksums_alone_would_miss_some(tmp_path):
    path = tmp_path / "table.parquet"
    pq.write_table(pa.Table.from_pandas(FRAME), path, write_page_checksum=True)
    data = path.read_bytes()
    footer = len(data) - END_SIZE - int.from_bytes(data[-END_SIZE:-4], "little")
    name = data.index(b"rate", footer)
    path.write_bytes(data[:name] + b"rave" + data[name + 4 :])
    assert outcome(path) == "misread"


@pytest.mark.parametrize("missing", [0, 100, 4096])
def test_a_file_with_a_hole_is_noticed(tmp_path, missing):
    path = tmp_path / "table.parquet"
    write_table(pa.table({"value": np.arange(0, 100_000, 7)}), path)
    data = path.read_bytes()
    path.write_bytes(data[:missing] + bytes(1000) + data[missing + 1000 :])
    with pytest.raises(TornFileError):
        read_table(path)


def test_a_file_of_another_writer_is_read(tmp_path):
    path = tmp_path / "table.parquet"
    FRAME.to_parquet(path)
    assert outcome(path) == "whole"
    write_frame(FRAME, path)
    pd.testing.assert_frame_equal(pd.read_parquet(path), FRAME)


def rows_of(path) -> StoredRows:
    return StoredRows(path, lambda row: row["name"][0].as_py())


def test_rows_are_read_group_by_group_and_one_group_is_held(tmp_path):
    size, path = 2**20, tmp_path / "table.parquet"
    names = [np.random.default_rng(seed).bytes(size) for seed in range(8)]
    write_row_groups((pa.table({"name": names[start : start + 2]}) for start in range(0, 8, 2)), path)
    rows, before = rows_of(path), pa.total_allocated_bytes()
    assert len(rows) == 8
    for place, name in enumerate(names):
        assert rows[place] == name
        assert pa.total_allocated_bytes() - before < 5 * size
    assert [*rows] == names
    assert (rows[-1], rows[3]) == (names[-1], names[3])
    with pytest.raises(IndexError):
        rows[8]
    assert read_table(path)["name"].to_pylist() == names


def test_a_damaged_file_gives_no_rows(tmp_path):
    path = tmp_path / "table.parquet"
    write_frame(FRAME, path)
    assert [*rows_of(path)] == ["a", "b", "c"]
    data = bytearray(path.read_bytes())
    data[20] ^= 1
    path.write_bytes(data)
    with pytest.raises(TornFileError, match=r"table\.parquet is damaged .*; delete it"):
        rows_of(path)


def test_a_missing_file_stays_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_table(tmp_path / "none.parquet")
