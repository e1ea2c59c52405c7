"""Makes Snakemake's own report of finished results: ``python -m pipeline.commands.report config/quick.yaml``.

Snakemake alone ends with a traceback if the config file is absent, and without a mend if there are no results.
"""

import subprocess
import sys

from pipeline.commands.shared import parser_of, workflow_of

if __name__ == "__main__":
    workflow, _ = workflow_of(parser_of(__doc__).parse_args())
    if not (workflow.directory / "results/index.html").exists():  # made of all that the report shows
        sys.exit(workflow.unfinished)
    options = [*workflow.options, "--report", "results/report.html"]
    sys.exit(subprocess.run(["snakemake", "--cores", "all", *options]).returncode)
