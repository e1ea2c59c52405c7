"""Damaged result files are set aside, and no others."""

import errno
import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline import seals
from pipeline.storage import write_table
from pipeline.workflow import integrity
from pipeline.workflow.integrity import set_aside_damaged

TABLE = pa.table({"seed": [0, 1, 2], "curve": [[0.5], None, [0.25, 0.125]]})


@pytest.fixture
def folder(tmp_path):
    for name in ("a/one.parquet", "a/two.parquet", "b/three.parquet"):
        write_table(TABLE, tmp_path / name)
    pq.write_table(TABLE, tmp_path / "b" / "unsealed.parquet", write_page_checksum=True)
    (tmp_path / "figures").mkdir()
    for name in ("claims.json", "figures/learners.vl.json"):
        (tmp_path / name).write_text('{"claims": [{"id": "log", "verdict": "supported"}, {}, {}]}')
    (tmp_path / "figures/learners.svg").write_text('<svg width="100" height="50"><g><text>critical n</text></g></svg>')
    return tmp_path


def names(folder) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*.*") if path.name[0] != ".")


def test_whole_files_stay(folder):
    before = names(folder)
    assert set_aside_damaged(folder) == []
    assert names(folder) == before
    assert set_aside_damaged(folder / "nowhere") == []


@pytest.mark.parametrize("name", ["a/one.parquet", "b/unsealed.parquet"])
@pytest.mark.parametrize("damage", [lambda d: b"", lambda d: d[:-20], lambda d: d[:40] + b"?" + d[41:]])
def test_damaged_files_are_set_aside(folder, name, damage):
    before = names(folder)
    set_aside_damaged(folder)
    (folder / name).write_bytes(damage((folder / name).read_bytes()))
    os.utime(folder / name, (0, 0))  # whatever a file says of its age
    assert set_aside_damaged(folder) == [folder / name]
    assert names(folder) == sorted([f"{name}.damaged", *(other for other in before if other != name)])
    assert set_aside_damaged(folder) == []


@pytest.mark.parametrize("name", ["claims.json", "figures/learners.vl.json", "figures/learners.svg"])
@pytest.mark.parametrize("size", [0, 10, -2])
def test_text_files_that_are_not_whole_are_set_aside(folder, name, size):
    part = (folder / name).read_bytes()[:size]
    (folder / name).write_bytes(part)
    (folder / "elsewhere.json").touch()  # no file of the workflow
    assert set_aside_damaged(folder) == [folder / name]
    assert not (folder / name).exists()
    assert (folder / f"{name}.damaged").read_bytes() == part


def test_only_files_that_may_have_changed_are_read(folder, monkeypatch):
    looked_at = []
    monkeypatch.setattr(integrity, "_is_damaged", lambda path, check: looked_at.append(path.name))
    times = {"one": 5, "two": 20, "three": 10}
    monkeypatch.setattr(integrity, "_changed", lambda path, since: times.get(path.stem, 0) >= since)
    set_aside_damaged(folder)
    texts = ["claims.json", "learners.svg", "learners.vl.json"]
    assert sorted(looked_at) == sorted(["one.parquet", "three.parquet", "two.parquet", "unsealed.parquet", *texts])
    os.utime(folder / ".checked", ns=(10, 10))
    looked_at.clear()
    set_aside_damaged(folder)
    assert sorted(looked_at) == ["three.parquet", "two.parquet"]


def test_a_file_that_cannot_be_read_now_is_left_alone(folder, monkeypatch):
    def refuse(file):
        raise OSError(errno.EIO, "no")

    monkeypatch.setattr(seals, "is_broken", refuse)
    before = names(folder)
    assert set_aside_damaged(folder) == []
    assert names(folder) == before
