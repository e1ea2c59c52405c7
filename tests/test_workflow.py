"""The workflow, by really running Snakemake on the smoke config."""

import pandas as pd
import pytest
import yaml

from pipeline.config import load
from pipeline.datasets import read_training_sets
from pipeline.storage import read_frame
from running import ROOT, snakemake
from smoke import SMOKE, jobs

pytestmark = pytest.mark.slow

CONTRACTS = {
    "runs": "experiment function model k T n seed success success_step best_holdout_accuracy train_loss steps status",
    "success_rates": "experiment function model k T n trials successes rate ci_low ci_high",
    "critical_sample_size": "experiment function model k T n_critical ci_low ci_high n_grid censored",
    "scaling_fits": "experiment function model k law a b r_squared",
    "attention": "experiment function model k T n seed success support_mass support_recovered",
    "attention_maps": "experiment function model k T n seed head position weight in_support",
    "transitions": "experiment function model k T n runs reached median ci_low ci_high censored",
    "transition_fits": "experiment function model k exponent exponent_low exponent_high runs censored_runs",
    "progress": "experiment function model k T n seed step distance support_mass fourier_coefficient",
}


def test_the_tables_keep_their_contracts(finished):
    tables = {name: read_frame(finished[0] / f"results/tables/{name}.parquet") for name in CONTRACTS}
    for name, columns in CONTRACTS.items():
        assert set(columns.split()) <= set(tables[name]), name
    config = load(SMOKE)
    for name, experiment in config.enabled.items():
        runs = tables["runs"][tables["runs"]["experiment"] == name]
        assert len(runs) == sum(experiment.cells().values())
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


def test_the_summary_is_printed_at_the_end(finished):
    folder, printed = finished
    assert (folder / "results/summary.txt").read_text() in printed
    assert "runs succeeded" in printed


def test_a_deleted_file_is_made_again_with_what_follows(copy):
    tables = {path.name: read_frame(path) for path in (copy / "results/tables").glob("*.parquet")}
    (copy / "results/runs/small/and/tiny/short/k3/T8/n40/seeds0-1.parquet").unlink()
    found = jobs(copy, "--configfile", str(SMOKE))
    assert found["train"] == 1
    assert "dataset" not in found
    assert snakemake(copy, "--configfile", str(SMOKE)).returncode == 0
    for name, table in tables.items():
        pd.testing.assert_frame_equal(read_frame(copy / "results/tables" / name), table)


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
