"""The workflow, by really running Snakemake on the smoke config."""

import json
import re
import subprocess
import sys
from html import unescape
from math import ceil
from pathlib import Path

import pandas as pd
import pytest
import yaml

from pipeline.claims.claims import load as load_claims
from pipeline.claims.ledger import Entry, parted
from pipeline.config import load
from pipeline.data.datasets import read_training_sets
from pipeline.storage import read_frame
from pipeline.workflow.captions import caption
from pipeline.workflow.targets import table_files
from running import ROOT, environment, snakemake
from smoke import SMOKE, jobs

ROUND = "results/runs/small/and/tiny/short/k3/T12/round{}/size{}.parquet"
pytestmark = pytest.mark.slow

CONTRACTS = {
    "runs": "experiment function model k T n seed success success_step best_holdout_accuracy train_loss steps status",
    "success_rates": "experiment function model k T n trials successes rate ci_low ci_high",
    "critical_sample_size": "experiment function model k T n_critical ci_low ci_high n_grid censored",
    "scaling_fits": "experiment function model k law a b r_squared",
    "law_fits": "experiment function model k law a a_low a_high b b_low b_high log_likelihood parameters aic bic"
    " aic_weight held_out_log_likelihood dispersion contexts runs",
    "law_verdicts": "experiment function model k verdict best_aic best_bic best_held_out log_vs_power p_log p_power"
    " asymptote n_mean n_mean_low n_mean_high contexts T_min T_max runs reason",
    "law_sizes": "experiment function model k T n n_low n_high bracketed",
    "attention": "experiment function model k T n seed success support_mass support_recovered",
    "attention_maps": "experiment function model k T n seed head position weight in_support",
    "attention_steps": "experiment function model k T n seed step position weight in_support",
    "sensitivity": "experiment factor value base_value T ratio ratio_low ratio_high censored",
    "transitions": "experiment function model k T n runs reached median ci_low ci_high censored",
    "transition_fits": "experiment function model k exponent exponent_low exponent_high runs censored_runs",
    "representation": "function k T width seed certified exact_float32 exact_float64 qk_frobenius readout_frobenius",
    "head_norms": "function k T n seed head qk_frobenius qk_21 v_frobenius margin holdout_error",
    "capacity": "bound source T n seed root_entropy samples observed_gap",
    "basin": "start function k T n sigma seed success start_accuracy best_head_support_mass",
    "progress": "experiment function model k T n seed step distance support_mass fourier_coefficient",
}


def test_the_tables_keep_their_contracts(finished):
    tables = {name: read_frame(finished[0] / f"results/tables/{name}.parquet") for name in CONTRACTS}
    for name, columns in CONTRACTS.items():
        assert set(columns.split()) <= set(tables[name]), name
    config = load(SMOKE)
    for name, experiment in config.enabled.items():
        runs = tables["runs"][tables["runs"]["experiment"] == name]
        rounds = experiment.adaptive
        chosen = len(experiment.curves()) * rounds.rounds * rounds.sizes * rounds.seeds if rounds else 0
        assert len(runs) == sum(experiment.cells().values()) + chosen
        assert not runs.duplicated(["k", "T", "n", "seed"]).any()
        assert set(runs["function"]) == {experiment.function}
    rates, offline = tables["success_rates"], tables["runs"].query("experiment in @config.offline")
    assert set(rates["experiment"]) == set(config.offline)
    assert rates["successes"].sum() == offline["success"].sum()
    assert rates["trials"].sum() == len(offline)
    assert set(tables["transitions"]["experiment"]) == set(config.online) == {"parity2_fresh"}
    assert len(tables["attention"]) == 4
    assert tables["attention"]["support_mass"].between(0, 1).all()
    assert tables["progress"]["fourier_coefficient"].between(-1, 1).all()
    critical = tables["critical_sample_size"].query("experiment == 'and3' and not censored")
    assert len(critical) >= 1, "the smoke config should bracket some critical size"
    assert critical["n_critical"].between(10, 40).all()


def test_the_tables_that_are_asked_for_are_all_that_there_are(finished):
    """A table that is left out of these would not be made again if it went missing."""
    asked = {Path(path).name for path in table_files(load(SMOKE), "results/tables")}
    assert {path.name for path in (finished[0] / "results/tables").iterdir()} == asked


def test_the_figures_and_the_config_are_there(finished):
    folder, _ = finished
    for name, figure in load(SMOKE).figures:
        assert figure, name
        assert (folder / f"results/figures/{name}.svg").read_text().startswith("<svg")
        assert (folder / f"results/figures/{name}.png").read_bytes().startswith(b"\x89PNG")
        assert "vega" in (folder / f"results/figures/{name}.html").read_text()
    assert load(folder / "results/config.yaml") == load(SMOKE)


def ledger_of(folder: Path) -> tuple[list[Entry], list[Entry]]:
    """The claims on what the smoke config runs, and the others."""
    told, absent = parted(json.loads((folder / "results/claims.json").read_text())["claims"])
    assert told
    assert absent
    return told, absent


def test_the_page_has_every_figure_and_the_ledger(finished):
    page = (finished[0] / "results/index.html").read_text(encoding="utf-8")
    for name, _ in load(SMOKE).figures:
        assert f'data-figure="{name}"' in page
        assert caption(name).question in unescape(page)
    told, absent = ledger_of(finished[0])
    for claim in told:
        assert f'id="claim-{claim["id"]}"' in page
    for claim in absent:
        assert f"<li>{claim['statement']}</li>" in unescape(page)
    assert f"snakemake --cores all --configfile {SMOKE.relative_to(ROOT)}" in page


def command(name: str, folder: Path, *options: str) -> str:
    """What a command says of the smoke config's results in a folder."""
    words = [sys.executable, "-m", f"pipeline.commands.{name}", str(SMOKE), "--directory", str(folder), *options]
    run = subprocess.run(words, cwd=ROOT, env=environment(), capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-3000:]
    return run.stdout


def test_the_report_has_the_figures_with_their_captions(copy):
    command("report", copy)
    report = (copy / "results/report.html").read_text(encoding="utf-8")
    for name, _ in load(SMOKE).figures:
        assert caption(name).title in report
        assert caption(name).question.split("'")[0] in report


def test_watching_a_finished_run_finds_all_of_it(copy):
    assert "All run files are there." in command("watch", copy, "--once")
    assert (copy / "results/watch.svg").exists()


def test_of_a_finished_run_nothing_is_stale_and_its_time_is_known(finished):
    folder, printed = finished
    assert command("stale", folder).splitlines() == ["Nothing is stale."]
    assert command("redraw", folder).splitlines() == ["All figures are up to date."]
    (learning,) = re.findall(
        r"^ +([\d.]+) s +[\d.]+%  training, fitting and", command("profiling", folder), re.MULTILINE
    )
    trained = re.findall(r" ([\d.]+) s of (?:training|fitting)$", printed, re.MULTILINE)
    assert float(learning) > sum(map(float, trained)) - 0.1 > 0


def test_the_summary_is_printed_at_the_end(finished):
    folder, printed = finished
    assert (folder / "results/summary.txt").read_text() in printed
    assert "runs succeeded" in printed


def test_every_claim_is_in_the_ledger_and_a_smoke_run_decides_none(finished):
    folder, printed = finished
    entries = json.loads((folder / "results/claims.json").read_text())["claims"]
    assert [entry["id"] for entry in entries] == list(load_claims(ROOT / "config/claims.yaml"))
    assert {entry["verdict"] for entry in entries} == {"undecided"}
    on_runs = [entry for entry in entries if entry["runs"]["experiments"]]
    assert all(entry["reason"].startswith("no runs of experiment ") for entry in on_runs)
    page = (folder / "results/claims.md").read_text()
    absent = [entry for entry in on_runs if not entry["runs"]["count"]]
    assert f"  undecided      and {len(absent)} more, on what this config does not run\n" in printed
    for entry in entries:
        assert (f"## {entry['id']}\n" in page) == (entry not in absent)
        assert (f"\n- {entry['statement']} (" in page) == (entry in absent)
        assert (f"  undecided      {entry['statement']}\n" in printed) == (entry not in absent)


def test_a_deleted_file_is_made_again_with_what_follows(copy):
    tables = {path.name: read_frame(path) for path in (copy / "results/tables").glob("*.parquet")}
    (copy / "results/runs/small/and/tiny/short/k3/T8/n40/seeds0-1.parquet").unlink()
    (copy / ROUND.format(1, 2)).unlink()
    found = jobs(copy, "--configfile", str(SMOKE))
    assert found["train"] == 1
    assert "dataset" not in found
    assert (found["design"], found["train_adaptive"]) == (1, 3), "the run of the first round, and the second round"
    assert snakemake(copy, "--configfile", str(SMOKE)).returncode == 0
    for name, table in tables.items():
        pd.testing.assert_frame_equal(read_frame(copy / "results/tables" / name), table)


def test_a_damaged_ledger_and_damaged_figures_are_made_again(copy):
    damaged = ["claims.json", "figures/learners.svg", "figures/noise.vl.json"]
    whole = {name: (copy / "results" / name).read_bytes() for name in damaged}
    for name, content in whole.items():
        (copy / "results" / name).write_bytes(content[:-20])
    run = snakemake(copy, "--configfile", str(SMOKE))
    assert run.returncode == 0, run.stderr[-3000:]
    made = re.findall(r"Finished jobid: .*Rule: (\w+)", run.stderr)
    assert sorted(made) == ["all", "claims", "figure_learners", "figure_noise", "page", "summary"]
    for name, content in whole.items():
        assert f"results/{name} is damaged: renamed to {Path(name).name}.damaged, and made again" in run.stderr
        assert (copy / "results" / name).read_bytes() == content


def test_adaptive_rounds_go_on_where_they_stopped_and_repeat_in_another_folder(finished, tmp_path):
    last = [ROUND.format(2, size) for size in (1, 2)]
    first = ["results/designs/small/and/tiny/short/k3/T12/round2.parquet", ROUND.format(2, 1)]
    assert snakemake(tmp_path, *first, "--configfile", str(SMOKE)).returncode == 0
    assert jobs(tmp_path, *last, "--configfile", str(SMOKE)) == {"train_adaptive": 1}
    assert snakemake(tmp_path, *last, "--configfile", str(SMOKE)).returncode == 0
    made = sorted(path.relative_to(tmp_path) for path in (tmp_path / "results/runs").rglob("*.parquet"))
    assert len(made) == 8
    for path in (*made, Path(first[0])):
        assert read_frame(tmp_path / path).map(repr).equals(read_frame(finished[0] / path).map(repr)), path


def test_data_do_not_depend_on_the_packing(finished, tmp_path):
    config = yaml.safe_load(SMOKE.read_text())
    config["compute"]["seeds_per_job"] = 3
    path = tmp_path / "packed.yaml"
    path.write_text(yaml.safe_dump(config))
    target = "results/datasets/small/and/k3/T8/n10/seeds{}.parquet"
    assert snakemake(tmp_path, target.format("0-2"), "--configfile", str(path)).returncode == 0
    together = read_training_sets(tmp_path / target.format("0-2"))
    apart = [one for block in ("0-1", "2-2") for one in read_training_sets(finished[0] / target.format(block))]
    for ours, theirs in zip(together, apart, strict=True):
        assert ours.seed == theirs.seed
        assert ours.support.tolist() == theirs.support.tolist()
        assert (ours.inputs.data == theirs.inputs.data).all()
        assert (ours.holdout_labels == theirs.holdout_labels).all()


def test_a_wrong_config_stops_before_any_job(tmp_path):
    config = yaml.safe_load(SMOKE.read_text())
    config["experiments"]["and3"]["grid"]["T"] = [2, 12]
    (tmp_path / "wrong.yaml").write_text(yaml.safe_dump(config))
    run = snakemake(tmp_path, "--configfile", str(tmp_path / "wrong.yaml"))
    assert run.returncode != 0
    assert "experiments.and3.grid.T[0]: 2 is smaller than k = 3" in run.stderr
    assert not (tmp_path / "results").exists()


def test_every_block_of_the_papers_config_is_a_job(tmp_path):
    found, blocks = jobs(tmp_path), load(ROOT / "config/config.yaml").seed_blocks()
    assert found["train"] + found["fit"] == len(blocks)
    assert sum(found.values()) < 3000
    profile = yaml.safe_load((ROOT / "workflow/profiles/slurm/config.yaml").read_text())
    chains = {"datasets": found["holdout"], "training": found["train"], "fits": found["fit"]}
    jobs_of_slurm = sum(ceil(count / profile["group-components"][group]) for group, count in chains.items())
    assert jobs_of_slurm + 3 < 50  # and one each of the theory, the tables and the figures


def test_every_rule_has_a_group_on_a_cluster(tmp_path):
    profile = yaml.safe_load((ROOT / "workflow/profiles/slurm/config.yaml").read_text())
    rules = set(snakemake(tmp_path, "--list-rules").stdout.split())
    assert set(profile["groups"]) == rules - {"all", "figures", "theory"}
    assert set(profile["groups"].values()) == set(profile["group-components"])
