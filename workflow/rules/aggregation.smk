# Requires: the results of all blocks of runs, and the data of the runs whose attention is followed through training.
# Yields: the tables under results/tables.


rule runs_table:
    input:
        **runs_of(CONFIG.enabled),
    output:
        "results/tables/runs.parquet",
    log:
        "results/logs/runs_table.log",
    conda:
        "../../environment.yml"
    params:
        spec=specifications.experiments_spec(CONFIG.enabled),
        code=code_of("pipeline.jobs.tabulate"),
    shell:
        "python -m pipeline.jobs tabulate --table runs --spec {params.spec:q} --files {input.files} --adaptive {input.adaptive}"
        " --output {output} --log {log}"


rule learning_curves_table:
    input:
        **runs_of(targets.shown(CONFIG, "learning_curves")),
    output:
        "results/tables/learning_curves.parquet",
    log:
        "results/logs/learning_curves_table.log",
    conda:
        "../../environment.yml"
    params:
        table="learning_curves",
        spec=specifications.experiments_spec(targets.shown(CONFIG, "learning_curves")),
        code=code_of("pipeline.jobs.tabulate"),
    shell:
        "python -m pipeline.jobs tabulate --table {params.table} --spec {params.spec:q} --files {input.files}"
        " --adaptive {input.adaptive} --output {output} --log {log}"


use rule learning_curves_table as progress_table with:
    input:
        **runs_of(CONFIG.recording("progress")),
    output:
        "results/tables/progress.parquet",
    log:
        "results/logs/progress_table.log",
    params:
        table="progress",
        spec=specifications.experiments_spec(CONFIG.recording("progress")),
        code=code_of("pipeline.jobs.tabulate"),


use rule learning_curves_table as attention_table with:
    input:
        **runs_of(CONFIG.recording("attention")),
    output:
        "results/tables/attention.parquet",
    log:
        "results/logs/attention_table.log",
    params:
        table="attention",
        spec=specifications.experiments_spec(CONFIG.recording("attention")),
        code=code_of("pipeline.jobs.tabulate"),


use rule learning_curves_table as attention_maps_table with:
    input:
        **runs_of(targets.shown(CONFIG, "attention_map")),
    output:
        "results/tables/attention_maps.parquet",
    log:
        "results/logs/attention_maps_table.log",
    params:
        table="attention_maps",
        spec=specifications.experiments_spec(targets.shown(CONFIG, "attention_map")),
        code=code_of("pipeline.jobs.tabulate"),


rule attention_steps:
    input:
        **targets.attention_steps_inputs(
            CONFIG, rules.dataset.output[0], rules.holdout.output[0], PRESENT
        ),
    output:
        "results/tables/attention_steps.parquet",
    log:
        "results/logs/attention_steps.log",
    benchmark:
        "results/benchmarks/attention_steps.tsv"
    conda:
        "../../environment.yml"
    params:
        spec=specifications.attention_steps_spec(CONFIG),
        code=specifications.attention_steps_code(CONFIG),
    shell:
        "python -m pipeline.jobs attention_steps --spec {params.spec:q} --datasets {input.datasets}"
        " --holdouts {input.holdouts} --output {output} --log {log}"


rule success_rates:
    input:
        runs=rules.runs_table.output[0],
    output:
        "results/tables/success_rates.parquet",
    log:
        "results/logs/success_rates.log",
    conda:
        "../../environment.yml"
    params:
        spec=json.dumps(
            {
                "experiments": list(CONFIG.offline),
                "confidence": CONFIG.analysis.confidence,
            }
        ),
        code=code_of("pipeline.jobs.success_rates"),
    shell:
        "python -m pipeline.jobs success_rates --spec {params.spec:q} --runs {input.runs} --output {output} --log {log}"


ESTIMATION = json.dumps(
    {
        "share": CONFIG.analysis.success_share,
        "confidence": CONFIG.analysis.confidence,
        "bootstrap": CONFIG.analysis.bootstrap,
    }
)


rule critical_sample_size:
    input:
        rates=rules.success_rates.output[0],
    output:
        "results/tables/critical_sample_size.parquet",
    log:
        "results/logs/critical_sample_size.log",
    conda:
        "../../environment.yml"
    params:
        spec=ESTIMATION,
        code=code_of("pipeline.jobs.critical_sample_sizes"),
    shell:
        "python -m pipeline.jobs critical_sample_sizes --spec {params.spec:q} --rates {input.rates}"
        " --output {output} --log {log}"


rule scaling_fits:
    input:
        critical=rules.critical_sample_size.output[0],
        rates=rules.success_rates.output[0],
    output:
        "results/tables/scaling_fits.parquet",
    log:
        "results/logs/scaling_fits.log",
    conda:
        "../../environment.yml"
    params:
        spec=ESTIMATION,
        code=code_of("pipeline.jobs.scaling_fits"),
    shell:
        "python -m pipeline.jobs scaling_fits --spec {params.spec:q} --critical {input.critical} --rates {input.rates}"
        " --output {output} --log {log}"


rule law_fits:
    input:
        rates=rules.success_rates.output[0],
    output:
        fits="results/tables/law_fits.parquet",
        verdicts="results/tables/law_verdicts.parquet",
        sizes="results/tables/law_sizes.parquet",
        curves="results/tables/law_curves.parquet",
    log:
        "results/logs/law_fits.log",
    conda:
        "../../environment.yml"
    params:
        spec=ESTIMATION,
        code=code_of("pipeline.jobs.law_fits"),
    shell:
        "python -m pipeline.jobs law_fits --spec {params.spec:q} --rates {input.rates} --fits {output.fits}"
        " --verdicts {output.verdicts} --sizes {output.sizes} --curves {output.curves} --log {log}"


rule sensitivity:
    input:
        critical=rules.critical_sample_size.output[0],
        runs=rules.runs_table.output[0],
    output:
        "results/tables/sensitivity.parquet",
    log:
        "results/logs/sensitivity.log",
    conda:
        "../../environment.yml"
    params:
        spec=specifications.sensitivity_spec(CONFIG),
        code=code_of("pipeline.jobs.sensitivity"),
    shell:
        "python -m pipeline.jobs sensitivity --spec {params.spec:q} --critical {input.critical} --runs {input.runs}"
        " --output {output} --log {log}"


rule transitions:
    input:
        runs=rules.runs_table.output[0],
    output:
        "results/tables/transitions.parquet",
    log:
        "results/logs/transitions.log",
    conda:
        "../../environment.yml"
    params:
        spec=json.dumps(
            {
                "experiments": list(CONFIG.online),
                "confidence": CONFIG.analysis.confidence,
            }
        ),
        code=code_of("pipeline.jobs.transitions"),
    shell:
        "python -m pipeline.jobs transitions --spec {params.spec:q} --runs {input.runs} --output {output} --log {log}"


rule transition_fits:
    input:
        runs=rules.runs_table.output[0],
    output:
        "results/tables/transition_fits.parquet",
    log:
        "results/logs/transition_fits.log",
    conda:
        "../../environment.yml"
    params:
        spec=specifications.transition_spec(CONFIG),
        code=code_of("pipeline.jobs.transition_fits"),
    shell:
        "python -m pipeline.jobs transition_fits --spec {params.spec:q} --runs {input.runs} --output {output}"
        " --log {log}"
