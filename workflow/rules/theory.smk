# Requires: the datasets of the cells that the section theory of the config names.
# Yields: the tables of the theory (docs/theory.md), and the target of them and their figures.


rule representation:
    output:
        "results/tables/representation.parquet",
    log:
        "results/logs/representation.log",
    benchmark:
        "results/benchmarks/representation.tsv"
    conda:
        "../../environment.yml"
    params:
        spec=specifications.theory_spec(CONFIG, "representation"),
        code=specifications.theory_code(CONFIG, "representation", "representation"),
    shell:
        "python -m pipeline.jobs representation --spec {params.spec:q} --output {output} --log {log}"


rule head_norms:
    input:
        datasets=targets.theory_cells(CONFIG, "heads", rules.dataset.output[0]),
        holdouts=targets.theory_cells(CONFIG, "heads", rules.holdout.output[0]),
    output:
        "results/tables/head_norms.parquet",
    log:
        "results/logs/head_norms.log",
    benchmark:
        "results/benchmarks/head_norms.tsv"
    conda:
        "../../environment.yml"
    params:
        job="head_norms",
        spec=specifications.theory_spec(CONFIG, "heads"),
        code=specifications.theory_code(CONFIG, "head_norms", "heads"),
        checkpoint="results/checkpoints/head_norms.pt",
    shell:
        "python -m pipeline.jobs {params.job} --spec {params.spec:q} --datasets {input.datasets}"
        " --holdouts {input.holdouts} --output {output} --checkpoint {params.checkpoint} --code {params.code} --log {log}"


use rule head_norms as basin with:
    input:
        datasets=targets.theory_cells(CONFIG, "basin", rules.dataset.output[0]),
        holdouts=targets.theory_cells(CONFIG, "basin", rules.holdout.output[0]),
    output:
        "results/tables/basin.parquet",
    log:
        "results/logs/basin.log",
    benchmark:
        "results/benchmarks/basin.tsv"
    params:
        job="basin",
        spec=specifications.theory_spec(CONFIG, "basin"),
        code=specifications.theory_code(CONFIG, "basin", "basin"),
        checkpoint="results/checkpoints/basin.pt",


rule capacity:
    input:
        representation=rules.representation.output[0],
        heads=rules.head_norms.output[0],
    output:
        "results/tables/capacity.parquet",
    log:
        "results/logs/capacity.log",
    conda:
        "../../environment.yml"
    params:
        spec=specifications.theory_spec(CONFIG, "heads"),
        code=specifications.theory_code(CONFIG, "capacity", "heads"),
    shell:
        "python -m pipeline.jobs capacity --spec {params.spec:q} --representation {input.representation}"
        " --heads {input.heads} --output {output} --log {log}"


rule theory:
    input:
        rules.save_config.output,
        expand("results/tables/{table}.parquet", table=targets.theory_tables(CONFIG)),
        expand(
            "results/figures/{figure}.{suffix}",
            figure=targets.theory_figures(CONFIG),
            suffix=("svg", "png", "html"),
        ),
