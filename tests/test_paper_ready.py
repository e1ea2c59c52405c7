"""Figures and tables for a paper."""

import re

import altair as alt
import pandas as pd
import pytest

from pipeline.figures.parts import style
from pipeline.paper_ready.__main__ import main
from pipeline.paper_ready.figures import LABEL, Size, render
from pipeline.paper_ready.latex import critical_sizes
from pipeline.paper_ready.templates import TEMPLATES, Template

DATA = pd.DataFrame({"T": [100, 200], "n": [36.5, 42.0]})


def chart() -> alt.Chart:
    return alt.Chart(DATA, title="Of the caption").mark_point().encode(x="T:Q", y="n:Q")


def made(folder, figure: alt.TopLevelMixin, template: str) -> tuple[Size, str, bytes]:
    """The figure's size, the SVG and the PDF."""
    style.save(figure, folder / "drawn", "figure")
    size = render(folder / "drawn/figure.vl.json", TEMPLATES[template], folder)
    return size, (folder / "figure.svg").read_text(), (folder / "figure.pdf").read_bytes()


def box(pdf: bytes) -> list[float]:
    return [float(number) for number in re.search(rb"MediaBox *\[([^\]]*)\]", pdf)[1].split()]


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_single_view_fills_a_column_with_legible_labels(tmp_path, template):
    size, svg, pdf = made(tmp_path, chart(), template)
    width = TEMPLATES[template].column * 72
    assert f'width="{width:.2f}pt"' in svg
    assert box(pdf)[2] == pytest.approx(width, abs=0.01)
    assert size.labels == pytest.approx(LABEL, rel=0.03)
    assert TEMPLATES[template].font.split(",")[0] in svg
    assert "Of the caption" not in svg


def test_panels_are_scaled_to_the_text(tmp_path):
    size, svg, pdf = made(tmp_path, chart() | chart(), "icml")
    assert box(pdf)[2] == pytest.approx(6.75 * 72, abs=0.01)
    drawn = float(re.search(r'viewBox="0 0 ([\d.]+)', svg)[1])
    assert size.labels == pytest.approx(14 * 6.75 * 72 / drawn)
    assert size.height * 72 == pytest.approx(box(pdf)[3], abs=0.01)


def test_narrow_panels_are_no_larger_than_their_labels_should_be(tmp_path):
    size, svg, pdf = made(tmp_path, chart().properties(width=300) & chart().properties(width=300), "icml")
    drawn = float(re.search(r'viewBox="0 0 ([\d.]+)', svg)[1])
    assert size.labels == pytest.approx(LABEL)
    assert drawn * LABEL / 14 < 6.75 * 72
    assert box(pdf)[2] == pytest.approx(drawn * LABEL / 14, abs=0.01)


def test_the_data_of_a_figure_are_in_csv(tmp_path):
    made(tmp_path, chart(), "icml")
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "figure.csv"), DATA)
    made(tmp_path, chart() | alt.Chart(DATA.assign(n=1.5)).mark_point(), "icml")
    assert pd.read_csv(tmp_path / "figure_2.csv")["n"].tolist() == [1.5, 1.5]


def test_text_is_drawn_whatever_fonts_the_machine_has(tmp_path):
    unknown = Template(3.25, 6.75, "No Such Family, serif")
    style.save(chart(), tmp_path / "drawn", "figure")
    render(tmp_path / "drawn/figure.vl.json", unknown, tmp_path)
    assert b"/FontDescriptor" in (tmp_path / "figure.pdf").read_bytes()
    assert all(template.font.endswith(", serif") for template in TEMPLATES.values())


def test_without_figures_the_command_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.argv", ["paper_ready", "--results", str(tmp_path)])
    with pytest.raises(SystemExit, match=rf"^{tmp_path}/figures holds no figures; run snakemake first$"):
        main()


def test_of_a_damaged_figure_the_command_says_which(tmp_path, monkeypatch):
    style.save(chart(), tmp_path / "figures", "figure")
    torn = tmp_path / "figures/figure.vl.json"
    torn.write_bytes(torn.read_bytes()[:-20])
    monkeypatch.setattr("sys.argv", ["paper_ready", "--results", str(tmp_path)])
    with pytest.raises(SystemExit, match=rf"^{torn} is damaged \(.*\); delete it and run snakemake again"):
        main()


def test_the_table_of_critical_sizes():
    shared = {"function": "and", "model": "transformer", "k": 3}
    sizes = {"n_critical": [36.74, None], "ci_low": [33.5, None], "ci_high": [None, None], "n_grid": [40, None]}
    ends = {"T": [100, 200], "censored": [False, True], "censored_side": ["", "above"]}
    critical = pd.DataFrame({**ends, **sizes}).assign(**shared).astype({"n_grid": "Int64"})
    assert critical_sizes(critical).splitlines()[4:6] == [
        r"3-way AND & Transformer & 100 & 36.7 [33.5, --] & 40 \\",
        r" &  & 200 & above the grid & -- \\",
    ]
