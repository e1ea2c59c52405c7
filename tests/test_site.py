"""The documentation as a site; tested where the extra `docs` is installed."""

import os
import re
import subprocess
import sys

import pytest

from running import ROOT

pytest.importorskip("mkdocs")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the site; a dead link or a page outside the navigation is an error."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    quiet = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    built = subprocess.run(command, cwd=ROOT, env=quiet, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    return folder


def test_every_page_has_its_place(site):
    pages = {path.relative_to(ROOT / "docs").with_suffix("") for path in (ROOT / "docs").rglob("*.md")}
    built = {path.parent.relative_to(site) for path in site.rglob("index.html")}
    assert {page.parent if page.name == "README" else page for page in pages} == built


def test_formulas_are_drawn_without_a_script(site):
    written = re.findall(r"\$\$.+?\$\$|\$[^$]+\$", (ROOT / "docs/theory.md").read_text(), re.DOTALL)
    assert (site / "theory/index.html").read_text().count("<math") == len(written) > 50
    assert not [page for page in site.rglob("*.html") if "arithmatex" in page.read_text()]


def test_nothing_is_fetched(site):
    for page in site.rglob("*.html"):
        assert not re.findall(r'<(?:script|img|link rel="stylesheet")[^>]*(?:src|href)="https?:', page.read_text())
