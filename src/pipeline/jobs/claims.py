"""Decides the claims from the tables and writes the ledger, as JSON and as Markdown."""

import io
import json
from pathlib import Path

import pandas as pd

from pipeline.claims.claims import parse
from pipeline.claims.evidence import Evidence
from pipeline.claims.ledger import ledger
from pipeline.claims.rendering import markdown
from pipeline.jobs import arguments
from pipeline.storage import read_frame, whole_file

if __name__ == "__main__":
    given = arguments.parse(__doc__, "json", "markdown", tables={"type": Path, "nargs": "+"})
    tables = {path.stem: read_frame(path) for path in given.tables}
    tables |= {name: pd.read_csv(io.StringIO(text)) for name, text in given.spec["references"].items()}
    evidence = Evidence(tables, given.spec["share"], given.spec["confidence"])
    entries = ledger(parse({"claims": given.spec["claims"]}), evidence, given.spec["run_file"])
    texts = {
        given.json: json.dumps({"claims": entries}, indent=2, ensure_ascii=False) + "\n",
        given.markdown: markdown(entries),
    }
    for path, text in texts.items():
        with whole_file(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
