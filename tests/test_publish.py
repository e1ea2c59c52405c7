"""Keeping results: what is copied, and the manifest."""

import hashlib
import json
import subprocess

import pytest

from pipeline.commands.publish import main, publish

CONFIG = "experiments: {one: {}}\nfigures: {laws: {experiments: [one]}}\n"


def test_tables_figures_and_a_manifest_are_kept(tmp_path):
    results, target = tmp_path / "checkout" / "results", tmp_path / "checkout" / "docs" / "results" / "and3"
    target.mkdir(parents=True)
    for name in (
        "tables/runs.parquet",
        "tables/transitions.parquet",
        "figures/laws.svg",
        "figures/laws.html",
        "figures/learners.svg",
        "runs/x.parquet",
        "claims.md",
    ):
        (results / name).parent.mkdir(parents=True, exist_ok=True)
        (results / name).write_text(name)
    (results / "config.yaml").write_text(CONFIG)
    for name in ("config.yaml", "learners.svg", "README.md"):
        (target / name).write_text("kept earlier")
    (target / "manifest.json").write_text(
        json.dumps({"sha256": {"config.yaml": "", "learners.svg": "", "gone.svg": ""}})
    )
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-C", str(tmp_path / "checkout")]
    subprocess.run([*git, "init", "--quiet"], check=True)
    subprocess.run([*git, "add", "results/config.yaml", "docs"], check=True)
    subprocess.run([*git, "commit", "--quiet", "--no-verify", "-m", "x"], check=True)
    publish(results, target, "make paper")
    assert {path.name for path in target.iterdir()} == {
        "runs.parquet",
        "laws.svg",
        "config.yaml",
        "claims.md",
        "manifest.json",
        "README.md",
    }
    manifest = json.loads((target / "manifest.json").read_text())
    head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
    assert (manifest["command"], manifest["commit"], manifest["uncommitted_changes"]) == ("make paper", head, False)
    assert manifest["sha256"]["laws.svg"] == hashlib.sha256(b"figures/laws.svg").hexdigest()
    (results / "config.yaml").write_text(f"# changed\n{CONFIG}")
    publish(results, target, "make paper")
    assert json.loads((target / "manifest.json").read_text())["uncommitted_changes"] is True


def test_unfinished_results_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no finished results"):
        publish(tmp_path, tmp_path / "kept", "make paper")


def test_the_command_says_so_in_a_line(tmp_path, monkeypatch):
    options = ["--results", str(tmp_path), "--to", str(tmp_path / "kept"), "--command", "make paper"]
    monkeypatch.setattr("sys.argv", ["publish", *options])
    with pytest.raises(SystemExit, match="holds no finished results; run the workflow first"):
        main()
