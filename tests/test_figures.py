"""The files that the figures leave."""

import json
import re
import struct
from pathlib import Path

import altair as alt
import pytest

from charts import file_names
from figure_tables import PAPER_CSV, critical_table, curves_table, fits_table, rates_table, runs_table
from pipeline.figures import critical_sample_size, learners, learning_curves, success_heatmap
from pipeline.figures.parts import style


def png_size(path: Path) -> tuple[int, int]:
    content = path.read_bytes()
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    return struct.unpack(">II", content[16:24])


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """The figures by their command lines."""
    folder = tmp_path_factory.mktemp("figures")
    tables = {
        "critical": critical_table(),
        "fits": fits_table(),
        "rates": rates_table(),
        "runs": runs_table(),
        "curves": curves_table(),
    }
    options = {}
    for name, table in tables.items():
        table.to_parquet(folder / f"{name}.parquet")
        options[name] = [f"--{name}", str(folder / f"{name}.parquet")]
    names = sorted({name for table in tables.values() for name in table["experiment"]})
    output = ["--experiments", *names, "--models", "transformer", "--output-folder", str(folder / "out")]
    paper = ["--paper", str(PAPER_CSV)]
    critical_sample_size.main([*options["critical"], *options["fits"], *options["rates"], *paper, *output])
    learners.main([*options["critical"], *options["rates"], *output])
    success_heatmap.main([*options["rates"], *options["critical"], *options["runs"], *output])
    learning_curves.main([*options["curves"], *output])
    return folder / "out"


class TestFiles:
    def test_nothing_but_the_figures(self, folder):
        expected = file_names("critical_sample_size", "learners", "success_heatmap", "learning_curves")
        assert {path.name for path in folder.iterdir()} == expected

    def test_the_specification_is_that_of_the_page(self, folder):
        for path in folder.glob("*.vl.json"):
            html = path.with_name(path.name.replace("vl.json", "html")).read_text(encoding="utf-8")
            spec = re.search(r"const spec = (.*);", html)[1]
            assert json.loads(path.read_text(encoding="utf-8")) == json.loads(spec)

    def test_png_has_two_pixels_a_unit(self, folder):
        for svg in folder.glob("*.svg"):
            width, height = re.search(r'width="(\d+)" height="(\d+)"', svg.read_text(encoding="utf-8")).groups()
            assert png_size(svg.with_suffix(".png")) == (2 * int(width), 2 * int(height))

    def test_svg_writes_its_text_in_a_generic_family(self, folder):
        for svg in folder.glob("*.svg"):
            assert set(re.findall(r'font-family="([^"]*)"', svg.read_text(encoding="utf-8"))) == {"sans-serif"}

    def test_html_needs_no_network(self, folder):
        for page in folder.glob("*.html"):
            html = page.read_text(encoding="utf-8")
            assert "vegaEmbed(" in html
            assert len(html) > 500_000  # Vega, Vega-Lite and the embedding are within
            assert not re.search(r"<(script|link|img|iframe)\b[^>]*\s(src|href)\s*=\s*[\"']?(https?:)?//", html)
            spec = re.search(r"const spec = (.*);", html)[1]
            assert '"url"' not in spec
            assert re.findall(r"https?://[^\"]*", spec) == [alt.SCHEMA_URL]

    def test_saving_twice_gives_the_same_files(self, tmp_path):
        chart = success_heatmap.chart(rates_table(), critical_table(), runs_table())
        for folder in ("first", "second"):
            style.save(chart, tmp_path / folder, "heatmap")
        for suffix in ("svg", "png", "html", "vl.json"):
            first, second = (tmp_path / folder / f"heatmap.{suffix}" for folder in ("first", "second"))
            assert first.read_bytes() == second.read_bytes()
