"""What the workflow asks of SLURM, and says of it."""

import subprocess
from pathlib import Path

LAST_LINES = 6


def still_running(folder: Path) -> str | None:
    """What to do about SLURM jobs of an earlier run that have not ended; None if there are none.

    A workflow that is killed leaves its jobs behind; those of the next would compute the same files beside them.

    Args:
        folder: where the workflow runs.
    """
    command = ["squeue", "--me", "--noheader", "--format=%i|%k|%Z"]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    jobs = (line.split("|", 2) for line in output.splitlines())
    # Snakemake's plugin names the rules in the comment, which tells its jobs from others started here.
    ours = [job for job, comment, place in jobs if comment.startswith("rule_") and Path(place) == folder]
    if not ours:
        return None
    return (
        f"SLURM jobs of an earlier run still work in this folder: {' '.join(ours)}. Let them finish, or stop them with"
        f" scancel {' '.join(ours)}; then start again. What they have finished is kept."
    )


def early_end(name: str, logs: list[str]) -> str:
    """What to say of a SLURM job that ended before its blocks did: its log, and the lines of it that give the reason.

    Args:
        name: the group of the job's blocks, or its rule.
        logs: paths of the job's logs.
    """
    message = [f"A SLURM job of {name} ended early. Its log: {' '.join(logs)}"]
    for path in filter(Path.exists, map(Path, logs)):
        lines = path.read_text(errors="replace").splitlines()
        # Snakemake's own report follows what the job or SLURM said.
        end = next((at for at, line in enumerate(lines) if line.startswith("Error in rule")), len(lines) + 1) - 1
        message += lines[max(end - LAST_LINES, 0) : end]
    return "\n    ".join(message)
