"""The page of results: what it holds, and how it does in a real browser."""

import base64
import html as markup
import io
import json
import re
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pandas as pd
import pytest
import yaml

from figure_tables import critical_table, fits_table, rates_table, runs_table
from pipeline.config import Figures
from pipeline.figures import attention_map, critical_sample_size, learners, progress, success_heatmap
from pipeline.workflow.captions import caption
from running import snakemake
from smoke import SMOKE
from test_attention_figures import maps_table, steps_table
from test_progress_figures import progress_table

TABLES = {
    "critical_sample_size": critical_table,
    "scaling_fits": fits_table,
    "success_rates": rates_table,
    "runs": runs_table,
    "progress": progress_table,
    "attention_maps": maps_table,
    "attention_steps": steps_table,
}
SIZES = {"critical": "critical_sample_size", "rates": "success_rates"}
READ = {  # the tables of each figure
    critical_sample_size: {**SIZES, "fits": "scaling_fits"},
    success_heatmap: {**SIZES, "runs": "runs"},
    learners: SIZES,
    progress: {"progress": "progress"},
    attention_map: {"maps": "attention_maps", "steps": "attention_steps"},
}
CLAIM = {
    "id": "log_growth",
    "statement": "The critical sample size grows like log T.",
    "source": "the abstract",
    "provenance": "read",
    "rule": "growth",
    "criterion": "The interval of the exponent lies below 0.5.",
    "verdict": "not supported",
    "reason": "the interval is <wide>",
    "numbers": [{"name": "exponent", "value": 0.71234, "low": 0.6, "high": None}],
    "runs": {"count": 160, "experiments": ["main"], "tables": ["runs"], "files": ["results/runs/*.parquet"]},
}
ABSENT = CLAIM | {  # its reason is told nowhere
    "id": "wide_growth",
    "statement": "It grows so to T = 20 000.",
    "verdict": "undecided",
    "reason": "no runs of experiment wide",
    "numbers": [],
    "runs": {"count": 0, "experiments": ["wide"], "tables": ["runs"], "files": []},
}
THEOREM = CLAIM | {
    "id": "capacity_growth",
    "runs": {"count": 0, "experiments": [], "tables": ["capacity"], "files": []},
}
NAMES = [module.__name__.rsplit(".", 1)[1] for module in READ]


def make(folder: Path, *options: str) -> str:
    """The text of the page that the job makes of a folder with figures and tables."""
    figures = {
        name: {
            "caption": vars(caption(name)),
            "experiments": ["main"],
            "tables": list(tables.values()),
        }
        for name, tables in zip(NAMES, READ.values(), strict=True)
    }
    spec = json.dumps({"figures": figures})
    paths = {"figures": "figures", "config": "config.yaml", "benchmarks": "benchmarks", "output": "index.html"}
    command = [sys.executable, "-m", "pipeline.jobs.page", "--spec", spec, "--log", str(folder / "log"), *options]
    command += ["--command", "snakemake --cores all --configfile config/x.yaml"]
    command += [text for name, path in paths.items() for text in (f"--{name}", str(folder / path))]
    command += ["--tables", *(str(folder / f"tables/{name}.parquet") for name in TABLES)]
    subprocess.run(command, check=True, capture_output=True)
    return (folder / "index.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """A folder with the figures of made tables, and the page of them with a claim."""
    folder = tmp_path_factory.mktemp("results")
    (folder / "tables").mkdir()
    for name, table in TABLES.items():
        table().to_parquet(folder / f"tables/{name}.parquet")
    for module, tables in READ.items():
        options = [text for name, table in tables.items() for text in (f"--{name}", folder / f"tables/{table}.parquet")]
        output = ["--experiments", "main", "--models", "transformer", "--output-folder", str(folder / "figures")]
        module.main([*map(str, options), *output])
    (folder / "config.yaml").write_text(yaml.safe_dump({"note": "a & b"}))
    (folder / "benchmarks/train").mkdir(parents=True)
    (folder / "benchmarks/train/a.tsv").write_text("s\tmax_rss\n90.0\t200.5\n")
    (folder / "benchmarks/train/b.tsv").write_text("s\tmax_rss\n30.5\t-\n")
    (folder / "benchmarks/basin.tsv").write_text("s\tmax_rss\n7.2\t-\n")
    (folder / "claims.json").write_text(json.dumps({"claims": [CLAIM, THEOREM, ABSENT]}))
    make(folder, "--claims", str(folder / "claims.json"))
    return folder


@pytest.fixture(scope="module")
def html(results):
    return (results / "index.html").read_text(encoding="utf-8")


def test_figures_come_with_title_question_and_caption(html):
    for name in NAMES:
        told = caption(name)
        assert f'<h3 id="{name}-heading">{told.title}</h3>' in html
        assert f'<p class="question">{told.question}</p>' in html
        assert f"<p>{told.text}</p>" in markup.unescape(html)
        assert f'id="spec-{name}"' in html
    assert html.count('<img src="data:image/svg+xml;base64,') == len(NAMES)
    assert html.index("The critical sample size grows like log T.") < html.index(caption(NAMES[0]).title)


def test_the_claim_and_how_all_was_made(html):
    assert "the interval is &lt;wide&gt;" in html
    assert "<td>0.7123</td><td>[0.6, –]" in html
    assert "snakemake --cores all --configfile config/x.yaml" in html
    assert "note: a &amp; b" in html
    assert '<th scope="row">train</th><td>2</td><td>2 min</td></tr>' in html
    assert '<th scope="row">basin</th><td>1</td><td>7 s</td></tr>' in html


def test_a_claim_rests_on_runs_or_on_tables(html):
    assert html.count("<dt>Runs</dt><dd>160 of main</dd>") == 1
    assert html.count("<dt>Tables</dt><dd>capacity</dd>") == 1


def test_claims_on_what_was_not_run_are_listed_apart(html):
    assert "And 1 on what this config does not run" in html
    assert "<li>It grows so to T = 20 000.</li>" in html
    assert "no runs of experiment wide" not in html
    assert '<span class="verdict undecided">' not in html


@pytest.mark.parametrize("name", ["claims.json", "figures/learners.svg", "figures/learners.vl.json"])
def test_of_a_file_that_was_cut_short_the_job_says_which(results, tmp_path, name):
    shutil.copytree(results, tmp_path / "copy")
    torn = tmp_path / "copy" / name
    torn.write_bytes(torn.read_bytes()[:-20])
    with pytest.raises(subprocess.CalledProcessError) as ended:
        make(tmp_path / "copy", "--claims", str(tmp_path / "copy/claims.json"))
    (line,) = ended.value.stderr.decode().splitlines()
    assert f"{torn} is damaged (" in line
    assert line.endswith("; delete it and run snakemake again to rebuild it")


def test_tables_are_within_whole(results, html):
    for name in TABLES:
        content = re.search(rf'id="parquet-{name}">([^<]*)<', html)[1]
        assert base64.b64decode(content) == (results / f"tables/{name}.parquet").read_bytes()


def test_without_a_ledger_the_page_says_so(results, tmp_path):
    shutil.copytree(results, tmp_path / "copy")
    assert "No ledger of claims was asked for" in make(tmp_path / "copy")


# In a browser

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
CONTRAST = """scope => {
  const parts = text => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b]
    .map(c => c / 255).map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = node => {
    for (; node; node = node.parentElement) {
      const colour = parts(getComputedStyle(node).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const found = [];
  for (const node of document.querySelectorAll(scope)) {
    const own = [...node.childNodes].some(child => child.nodeType === 3 && child.textContent.trim());
    if (!own || !node.checkVisibility()) continue;
    const [a, b] = [light(parts(getComputedStyle(node).color)), light(ground(node))];
    found.push([(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), node.tagName + " " + node.textContent.slice(0, 40)]);
  }
  return found;
}"""


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="no Playwright: make test-page installs it")
    with playwright.sync_playwright() as running:
        path = CHROMIUM or running.chromium.executable_path
        if not Path(path).exists():
            pytest.skip("no Chromium: install one, or run make test-page")
        chromium = running.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        yield chromium
        chromium.close()


class Visit:
    """The page in a window, with the errors on its console and what it asks the network for."""

    def __init__(self, browser, page: Path, **options):
        self.page = browser.new_context(**{"viewport": {"width": 1280, "height": 900}} | options).new_page()
        self.errors, self.requests = [], []
        self.page.on("console", lambda message: message.type == "error" and self.errors.append(message.text))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(page.as_uri())

    def draw(self) -> None:
        for figure in self.page.locator("[data-figure]").all():
            figure.scroll_into_view_if_needed()
            self.page.wait_for_function(
                "node => node.dataset.state !== 'plain'", arg=figure.element_handle(), timeout=120_000
            )


@pytest.fixture(scope="module")
def visit(browser, results):
    visit = Visit(browser, results / "index.html")
    visit.draw()
    yield visit
    visit.page.context.close()


def test_every_chart_is_drawn_without_errors_or_network(visit, results):
    for name in NAMES:
        figure = visit.page.locator(f"[data-figure={name}]")
        assert figure.get_attribute("data-state") == "drawn"
        assert figure.locator(".chart svg.marks path").count() > 10
    assert visit.errors == []
    assert [url for url in visit.requests if not url.startswith(("data:", "blob:"))] == [
        (results / "index.html").as_uri()
    ]


def test_brushing_T_narrows_the_heat_map(visit):
    chart = visit.page.locator("[data-figure=critical_sample_size] .chart svg.marks")
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    y = box["y"] + box["height"] / 3
    visit.page.mouse.move(box["x"] + box["width"] * 0.30, y)
    visit.page.mouse.down()
    visit.page.mouse.move(box["x"] + box["width"] * 0.72, y, steps=5)
    visit.page.mouse.up()
    chosen = visit.page.locator("[data-figure=success_heatmap] .vega-bindings select")
    visit.page.wait_for_function("document.querySelector('[name=T_from]').value !== '100'", timeout=30_000)
    assert [chosen.nth(place).input_value() for place in range(2)] == ["200", "400"]


def test_a_learner_is_picked_with_the_keyboard(visit):
    faded = "[data-figure=learners] .chart [opacity='0.15']"
    assert visit.page.locator(faded).count() == 0
    visit.page.locator("[data-figure=learners] select").focus()
    visit.page.keyboard.press("ArrowDown")
    assert visit.page.locator("[data-figure=learners] select").input_value() == "Transformer"


def test_stepping_through_training_shows_the_attention_of_a_step(visit):
    lines = "[data-figure=attention_map] .chart .mark-line path[d]:not([d=''])"
    slider = visit.page.locator("[data-figure=attention_map] input[type=range]")
    assert slider.input_value() == "100"
    assert visit.page.locator(lines).count() == 0
    slider.focus()
    visit.page.keyboard.press("ArrowLeft")
    visit.page.keyboard.press("ArrowLeft")
    assert slider.input_value() == "60"
    visit.page.wait_for_function("lines => document.querySelectorAll(lines).length === 1", arg=lines, timeout=30_000)


def test_downloads_hold_the_table(visit, results):
    visit.page.locator("#success_heatmap > details > summary").click()
    for kind, read in {"csv": pd.read_csv, "parquet": pd.read_parquet}.items():
        with visit.page.expect_download() as download:
            visit.page.locator(f"#success_heatmap [data-table=runs][data-kind={kind}]").click()
        assert download.value.suggested_filename == f"runs.{kind}"
        content = Path(download.value.path()).read_bytes()
        pd.testing.assert_frame_equal(read(io.BytesIO(content)), runs_table(), check_dtype=False)


def test_a_reader_of_the_screen_finds_the_way(visit):
    page = visit.page
    assert page.locator("html").get_attribute("lang") == "en"
    levels = [int(level[1]) for level in page.locator("h1, h2, h3, h4").evaluate_all("all => all.map(h => h.tagName)")]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    for image in page.locator("img").all():
        assert len(image.get_attribute("alt")) > 50
    labels = page.locator(".chart [role=graphics-document]").evaluate_all("all => all.map(a => a.ariaLabel)")
    assert labels == [f"{caption(name).title}. {caption(name).text}" for name in NAMES]
    assert page.locator("table").evaluate_all("all => all.every(t => t.querySelector('th[scope]'))")
    assert page.locator("main, header, nav").count() >= 3


def test_the_first_key_skips_to_the_content_and_focus_shows(browser, results):
    page = Visit(browser, results / "index.html").page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    assert page.evaluate("location.hash") == "#content"
    page.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_in_both_schemes(browser, results, scheme):
    page = Visit(browser, results / "index.html", color_scheme=scheme).page
    page.locator("details").evaluate_all("all => all.forEach(one => one.open = true)")
    found = page.evaluate(CONTRAST, "body *:not(.chart *)")
    assert len(found) > 50
    assert [one for one in found if one[0] < 4.5] == []
    page.context.close()


def test_on_a_phone_the_plain_figures_fit(browser, results):
    visit = Visit(browser, results / "index.html", viewport={"width": 390, "height": 844})
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= 390
    figure = visit.page.locator("[data-figure=critical_sample_size]")
    figure.scroll_into_view_if_needed()
    assert figure.locator("img").is_visible()
    figure.locator(".switch").click()
    visit.page.wait_for_function("document.querySelector('[data-figure]').dataset.state === 'drawn'", timeout=120_000)
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= 390
    assert visit.errors == []
    visit.page.context.close()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["index.html", "report.html"])
def test_the_pages_of_a_run_ask_for_nothing_and_err_nowhere(browser, finished, name):
    page = finished[0] / f"results/{name}"
    if name == "report.html" and not page.exists():
        report = snakemake(finished[0], "--configfile", str(SMOKE), "--report", str(page))
        assert report.returncode == 0, report.stderr[-3000:]
    visit = Visit(browser, page)
    visit.draw()
    states = visit.page.locator("[data-figure]").evaluate_all("all => all.map(one => one.dataset.state)")
    assert states == ["drawn"] * (len(Figures.model_fields) if name == "index.html" else 0)
    if name == "report.html":
        visit.page.get_by_text("Figures", exact=True).first.click(timeout=60_000)
        visit.page.get_by_text(caption("learners").title).first.wait_for(timeout=60_000)
    assert visit.errors == []
    assert [url for url in visit.requests if not url.startswith(("data:", "blob:"))] == [page.as_uri()]
    visit.page.context.close()
