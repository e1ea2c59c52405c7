"""Makes the figures of finished results ready for a paper: ``python -m pipeline.paper_ready --template icml``."""

import argparse
from pathlib import Path

from pipeline.paper_ready.figures import SUFFIX, render
from pipeline.paper_ready.latex import critical_sizes
from pipeline.paper_ready.templates import TEMPLATES
from pipeline.storage import TornFileError, read_frame

SMALL = 6.0  # points; below it print is hard to read
TALL = 9.0  # inches, the height of the text of most templates


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--template", choices=TEMPLATES, default="icml")
    given = parser.parse_args()
    try:
        write(given.results, given.template)
    except (OSError, TornFileError) as error:
        raise SystemExit(str(error)) from None


def write(results: Path, template: str) -> None:
    """Writes all figures, and the critical sample sizes as LaTeX, and says what is hard to print.

    Args:
        results: the folder of results; they go into its ``paper_ready/<template>``.
        template: its name.

    Raises:
        TornFileError: a figure's specification or the table is damaged.
        OSError: there are no figures, or a file cannot be read or written.
    """
    specifications = sorted(results.glob(f"figures/*{SUFFIX}"))
    if not specifications:
        raise FileNotFoundError(f"{results}/figures holds no figures; run snakemake first")
    folder = results / "paper_ready" / template
    folder.mkdir(parents=True, exist_ok=True)
    for one in specifications:
        size = render(one, TEMPLATES[template], folder)
        problems = [word for word, true in (("small", size.labels < SMALL), ("tall", size.height > TALL)) if true]
        note = f"; {' and '.join(problems)}: show fewer panels" if problems else ""
        print(f"{one.name.removesuffix(SUFFIX)}: labels of {size.labels:.1f} pt, {size.height:.1f} in high{note}")
    critical = read_frame(results / "tables/critical_sample_size.parquet")
    for experiment, rows in critical.groupby("experiment"):
        (folder / f"critical_sample_size_{experiment}.tex").write_text(critical_sizes(rows), encoding="utf-8")
    print(f"SVG, PDF, CSV and LaTeX are in {folder}")


if __name__ == "__main__":
    main()
