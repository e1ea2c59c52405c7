"""Makes the figures of finished results ready for a paper: ``python -m pipeline.paper_ready --template icml``."""

import argparse
from pathlib import Path

from pipeline.paper_ready.figures import SUFFIX, render
from pipeline.paper_ready.latex import critical_sizes
from pipeline.paper_ready.templates import TEMPLATES
from pipeline.storage import read_frame

SMALL = 6.0  # points; below it print is hard to read


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--template", choices=TEMPLATES, default="icml")
    given = parser.parse_args()
    specifications = sorted(given.results.glob(f"figures/*{SUFFIX}"))
    if not specifications:
        raise SystemExit(f"{given.results}/figures holds no figures; run snakemake first")
    folder = given.results / "paper_ready" / given.template
    folder.mkdir(parents=True, exist_ok=True)
    for one in specifications:
        size = render(one, TEMPLATES[given.template], folder)
        note = "; small: show fewer panels" if size < SMALL else ""
        print(f"{one.name.removesuffix(SUFFIX)}: labels of {size:.1f} pt{note}")
    critical = read_frame(given.results / "tables/critical_sample_size.parquet")
    for experiment, rows in critical.groupby("experiment"):
        (folder / f"critical_sample_size_{experiment}.tex").write_text(critical_sizes(rows), encoding="utf-8")
    print(f"SVG, PDF, CSV and LaTeX are in {folder}")


if __name__ == "__main__":
    main()
