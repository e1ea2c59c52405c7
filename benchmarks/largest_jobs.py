"""Peak memory and time of the jobs of the largest cell, T = 100 000 and n = 2000, with the seeds of one job."""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from pipeline.config import Data, Training, Transformer

SIZE = {"k": 3, "T": 100_000, "n": 2000}


def main() -> None:
    """Draws the data and trains for a few steps; prints a line a job."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--function", default="and")
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument("--steps", type=int, default=2)
    given = parser.parse_args()
    data, training = Data().model_dump(mode="json"), Training(max_steps=given.steps, eval_every=1)
    learner = {"model": Transformer().model_dump(mode="json"), "training": training.model_dump(mode="json")}
    address = {"function": given.function} | SIZE
    holdout = {name: address[name] for name in ("function", "k", "T")} | {"holdout_size": data.pop("holdout_size")}
    cell = address | {"data": "standard", "model": "transformer", "training": "short"}
    with tempfile.TemporaryDirectory(dir=".") as name:
        folder = Path(name)
        files = {"holdout": folder / "holdout.parquet", "dataset": folder / "dataset.parquet"}
        run("holdout", holdout, output=files["holdout"])
        drawn = {"cell": address, "seeds": f"0-{given.seeds - 1}"} | data
        kept = {"checkpoint": folder / "checkpoint.pt", "code": 0}
        run("dataset", drawn, holdout=files["holdout"], output=files["dataset"], **kept)
        files["output"] = folder / "runs.parquet"
        run("train", {"cell": cell} | learner, **files, **kept, device="cpu", precision="float32", threads=1)


def run(job: str, spec: dict, **options: object) -> None:
    """Runs a job in a process of its own."""
    options |= {"spec": json.dumps(spec), "log": os.devnull}
    command = [sys.executable, "-m", "pipeline.jobs", job, *(f"--{name}={value}" for name, value in options.items())]
    began = time.monotonic()
    _, status, usage = os.wait4(subprocess.Popen(command).pid, 0)
    if status:
        raise SystemExit(f"the job {job} failed")
    print(f"{job}: {usage.ru_maxrss / 2**20:.2f} GiB, {(time.monotonic() - began) / 60:.1f} minutes", flush=True)


if __name__ == "__main__":
    main()
