"""The workflow, by really running Snakemake on the smoke config."""

import json
import re
import shutil
import subprocess
import sys
from html import unescape
from pathlib import Path

import pandas as pd
import pytest
import yaml

from pipeline.captions import caption
from pipeline.claims.claims import load as load_claims
from pipeline.config import load
from pipeline.datasets import read_training_sets
from pipeline.storage import read_frame
from running import ROOT, snakemake

SMOKE = ROOT / "config" / "smoke.yaml"
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
    " asymptote contexts T_min T_max runs reason",
    "attention": "experiment function model k T n seed success support_mass support_recovered",
    "attention_maps": "experiment function model k T n seed head position weight in_support",
    "sensitivity": "experiment factor value base_value T ratio ratio_low ratio_high censored",
    "transitions": "experiment function model k T n runs reached median ci_low ci_high censored",
    "transition_fits": "experiment function model k exponent exponent_low exponent_high runs censored_runs",
    "representation": "function k T width seed certified exact_float32 exact_float64 qk_frobenius readout_frobenius",
    "head_norms": "function k T n seed head qk_frobenius qk_21 v_frobenius margin holdout_error",
    "capacity": "bound source T n seed root_entropy samples observed_gap",
    "basin": "start function k T n sigma seed success start_accuracy best_head_support_mass",
    "progress": "experiment function model k T n seed step distance support_mass fourier_coefficient",
}


def jobs(folder: Path, *options: str, **where: Path) -> dict[str, int]:
    """How many jobs of each rule a dry run would start."""
    dry = snakemake(folder, "--dry-run", *options, **where)
    assert dry.returncode == 0, dry.stderr
    counts = re.findall(r"^(\w+) +(\d+)$", dry.stdout + dry.stderr, re.MULTILINE)
    return {rule: int(count) for rule, count in counts if rule not in ("all", "total")}


def variant(folder: Path, experiment: str = "and3", section: str = "grid", **changes) -> str:
    """A copy of the smoke config with some of an experiment's keys changed, as an option."""
    config = yaml.safe_load(SMOKE.read_text())
    config["experiments"][experiment][section] |= changes
    path = folder / "variant.yaml"
    path.write_text(yaml.safe_dump(config))
    return str(path)


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """A finished smoke run: its folder and what Snakemake printed."""
    folder = tmp_path_factory.mktemp("smoke")
    run = snakemake(folder, "--configfile", str(SMOKE))
    assert run.returncode == 0, run.stderr[-5000:]
    return folder, run.stdout + run.stderr


@pytest.fixture
def copy(finished, tmp_path):
    """A copy of the finished run, with its times, to change."""
    shutil.copytree(finished[0], tmp_path / "run")
    return tmp_path / "run"


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


def test_the_figures_and_the_config_are_there(finished):
    folder, _ = finished
    for name, figure in load(SMOKE).figures:
        assert figure, name
        assert (folder / f"results/figures/{name}.svg").read_text().startswith("<svg")
        assert (folder / f"results/figures/{name}.png").read_bytes().startswith(b"\x89PNG")
        assert "vega" in (folder / f"results/figures/{name}.html").read_text()
    assert load(folder / "results/config.yaml") == load(SMOKE)


def test_the_page_has_every_figure_and_the_ledger(finished):
    page = (finished[0] / "results/index.html").read_text(encoding="utf-8")
    for name, _ in load(SMOKE).figures:
        assert f'data-figure="{name}"' in page
        assert caption(name).question in unescape(page)
    for claim in load_claims(ROOT / "config/claims.yaml"):
        assert f'id="claim-{claim}"' in page
    assert f"snakemake --cores all --configfile {SMOKE.relative_to(ROOT)}" in page


def test_the_report_has_the_figures_with_their_captions(finished):
    target = finished[0] / "report.html"
    run = snakemake(finished[0], "--configfile", str(SMOKE), "--report", str(target))
    assert run.returncode == 0, run.stderr[-3000:]
    report = target.read_text(encoding="utf-8")
    for name, _ in load(SMOKE).figures:
        assert caption(name).title in report
        assert caption(name).question.split("'")[0] in report


def test_watching_a_finished_run_finds_all_of_it(finished, tmp_path):
    command = [sys.executable, "-m", "pipeline.watch", str(SMOKE), "--folder", str(finished[0]), "--once"]
    run = subprocess.run([*command, "--picture", str(tmp_path / "w.svg")], capture_output=True, text=True, check=True)
    assert "All run files are there." in run.stdout
    assert (tmp_path / "w.svg").exists()


def test_the_summary_is_printed_at_the_end(finished):
    folder, printed = finished
    assert (folder / "results/summary.txt").read_text() in printed
    assert "runs succeeded" in printed


def test_every_claim_is_in_the_ledger_and_a_smoke_run_decides_none(finished):
    folder, printed = finished
    entries = json.loads((folder / "results/claims.json").read_text())["claims"]
    assert [entry["id"] for entry in entries] == list(load_claims(ROOT / "config/claims.yaml"))
    assert {entry["verdict"] for entry in entries} == {"undecided"}
    assert all(entry["reason"].startswith("no runs of experiment ") for entry in entries)
    page = (folder / "results/claims.md").read_text()
    absent = [entry for entry in entries if not entry["runs"]["count"]]
    assert f"  undecided      {len(absent)} on experiments that are not in this config\n" in printed
    for entry in entries:
        assert f"## {entry['id']}\n" in page
        assert (f"  undecided      {entry['statement']}\n" in printed) == (entry not in absent)


def test_edits_rerun_what_they_touch_and_a_comment_nothing(copy, tmp_path):
    checkout = tmp_path / "checkout"
    for part in ("Snakefile", "src", "workflow", "config", "environment.yml"):
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, checkout / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            checkout.mkdir(exist_ok=True)
            shutil.copy(source, checkout / part)
    where = {"snakefile": checkout / "Snakefile"}
    assert jobs(copy, "--configfile", str(SMOKE), **where) == {}
    claims = checkout / "config/claims.yaml"
    for path in [*checkout.rglob("*.py"), claims]:
        path.write_text(path.read_text() + "\n# a comment\n")
    assert jobs(copy, "--configfile", str(SMOKE), **where) == {}
    functions = checkout / "src/pipeline/functions.py"
    text = functions.read_text()
    functions.write_text(text.replace('    "or": ', '    "nand": BooleanFunction(_balanced_junta),\n    "or": '))
    assert functions.read_text() != text
    assert jobs(copy, "--configfile", str(SMOKE), **where) == {}, "a new function concerns no other"
    heatmap = checkout / "src/pipeline/figures/success_heatmap.py"
    heatmap.write_text(heatmap.read_text() + "\nNEW = 1\n")
    assert jobs(copy, "--configfile", str(SMOKE), **where) == {"figure_success_heatmap": 1}
    heatmap.write_text(heatmap.read_text().removesuffix("\nNEW = 1\n"))
    ledger = {"claims": 1, "summary": 1}
    text = claims.read_text()
    claims.write_text(text.replace("tolerance: 0.1", "tolerance: 0.2", 1))
    assert jobs(copy, "--configfile", str(SMOKE), **where) == ledger, "a claim's threshold"
    claims.write_text(text)
    rule = checkout / "src/pipeline/claims/rules/growth.py"
    rule.write_text(rule.read_text() + "\nNEW = 1\n")
    assert jobs(copy, "--configfile", str(SMOKE), **where) == ledger, "a rule's code"


def test_more_seeds_train_only_the_new_blocks(copy):
    found = jobs(copy, "--configfile", variant(copy, seeds=5))
    assert found["train"] == found["dataset"] == 12  # seeds 2-2 becomes 2-3, and 4-4 is new, in 6 cells
    assert "holdout" not in found


def test_a_new_sample_size_trains_only_its_cells(copy):
    found = jobs(copy, "--configfile", variant(copy, n=[10, 20, 40]))
    assert found["train"] == found["dataset"] == 6  # 3 T, 2 blocks of seeds


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


def test_a_further_round_adds_to_the_earlier_ones(copy):
    found = jobs(copy, "--configfile", variant(copy, "and3_adaptive", "adaptive", rounds=3))
    assert (found["design"], found["train_adaptive"]) == (1, 2)
    assert not {"train", "dataset", "holdout"} & found.keys()


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


def test_a_torn_file_is_named_with_the_mend(copy):
    torn = copy / "results/runs/small/and/tiny/short/k3/T8/n40/seeds0-1.parquet"
    torn.write_bytes(torn.read_bytes()[:-20])
    run = snakemake(copy, "--configfile", str(SMOKE))
    assert run.returncode != 0
    assert f"{torn.relative_to(copy)} is damaged" in run.stderr
    assert "delete it and run snakemake again" in run.stderr


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
    run = snakemake(tmp_path, "--configfile", variant(tmp_path, T=[2, 12]))
    assert run.returncode != 0
    assert "experiments.and3.grid.T[0]: 2 is smaller than k = 3" in run.stderr
    assert not (tmp_path / "results").exists()


def test_every_block_of_the_papers_config_is_a_job(tmp_path):
    found, blocks = jobs(tmp_path), load(ROOT / "config/config.yaml").seed_blocks()
    assert found["train"] + found["fit"] == len(blocks)
    assert sum(found.values()) < 3000


def test_an_experiment_that_is_off_trains_nothing(copy):
    config = yaml.safe_load(SMOKE.read_text())
    config["experiments"]["and3_tree"]["enabled"] = False
    path = copy / "off.yaml"
    path.write_text(yaml.safe_dump(config))
    found = jobs(copy, "--configfile", str(path))
    assert not {"train", "fit", "dataset", "attention_table"} & found.keys()
    assert {"runs_table", "figure_learners"} <= found.keys()
