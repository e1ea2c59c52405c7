"""JSON and SVG files are read whole, or said to be damaged."""

import pytest

from pipeline.storage import TornFileError
from pipeline.texts import read_json, read_svg

SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="2" height="1"><text>≤ &amp;</text></svg>\n'
JSON = '{"claims": ["≤", 0.5]}\n'


def test_whole_files_are_read(tmp_path):
    (tmp_path / "a.svg").write_text(SVG, encoding="utf-8")
    (tmp_path / "a.json").write_text(JSON, encoding="utf-8")
    assert read_svg(tmp_path / "a.svg") == SVG
    assert read_json(tmp_path / "a.json") == {"claims": ["≤", 0.5]}


@pytest.mark.parametrize(("read", "text"), [(read_svg, SVG), (read_json, JSON)])
def test_every_part_of_a_file_is_damaged(read, text, tmp_path):
    whole = text.encode()
    for size in range(len(whole) - 1):  # the newline at the end is not missed
        (tmp_path / "part").write_bytes(whole[:size])
        with pytest.raises(TornFileError, match=rf"^{tmp_path}/part is damaged \(.*\); delete it and run snakemake"):
            read(tmp_path / "part")


def test_a_file_that_is_absent_is_not_damaged(tmp_path):
    for read in (read_svg, read_json):
        with pytest.raises(FileNotFoundError):
            read(tmp_path / "absent")
