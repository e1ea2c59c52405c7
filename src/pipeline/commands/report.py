"""Makes Snakemake's own report of finished results: ``python -m pipeline.commands.report config/quick.yaml``.

Snakemake alone ends with a traceback if the config file is absent, and without a mend if there are no results.
"""

import argparse
import subprocess
import sys
from pathlib import Path

from pipeline.commands.shared import config_of, unfinished

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path, nargs="+")
    given = parser.parse_args()
    config_of(given.config)
    if not Path("results/index.html").exists():  # made of all that the report shows
        sys.exit(unfinished(given.config))
    options = ["--configfile", *map(str, given.config), "--report", "results/report.html"]
    sys.exit(subprocess.run(["snakemake", "--cores", "all", *options]).returncode)
