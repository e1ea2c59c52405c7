# Requires: the results of the grids of experiments with adaptive rounds, and their holdouts.
# Yields: round after round the design, which chooses sample sizes and seeds, and the results of the runs it chose.

PRESENT = targets.present_blocks(rules.train.output[0])


rule design:
    input:
        unpack(inputs_of_design),
    output:
        "results/designs/{data}/{function}/{model}/{training}/k{k}/T{T}/round{round}.parquet",
    log:
        "results/logs/design/{data}/{function}/{model}/{training}/k{k}/T{T}/round{round}.log",
    conda:
        "../../environment.yml"
    params:
        spec=lambda w: specifications.design_spec(CONFIG, curve_of(w)),
        code=code_of("pipeline.jobs.design"),
    shell:
        "python -m pipeline.jobs design --spec {params.spec:q} --grid {input.grid} --rounds {input.rounds}"
        " --output {output} --log {log}"


rule train_adaptive:
    input:
        design=rules.design.output[0],
        holdout=rules.holdout.output[0],
    output:
        runs="results/runs/{data}/{function}/{model}/{training}/k{k}/T{T}/round{round}/size{size}.parquet",
        dataset="results/datasets/{data}/{function}/k{k}/T{T}/{model}/{training}/round{round}/size{size}.parquet",
    log:
        "results/logs/train_adaptive/{data}/{function}/{model}/{training}/k{k}/T{T}/round{round}/size{size}.log",
    benchmark:
        "results/benchmarks/train_adaptive/{data}/{function}/{model}/{training}/k{k}/T{T}/round{round}/size{size}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        device=CONFIG.compute.device,
        precision=CONFIG.compute.precision,
    params:
        spec=lambda w: specifications.adaptive_training_spec(
            CONFIG, curve_of(w), int(w.size)
        ),
        code=lambda w: specifications.training_code(
            CONFIG, curve_of(w), "train_adaptive"
        ),
        checkpoint="results/checkpoints/{data}/{function}/{model}/{training}/k{k}/T{T}/round{round}/size{size}.pt",
    shell:
        "python -m pipeline.jobs train_adaptive --spec {params.spec:q} --design {input.design} --holdout {input.holdout}"
        " --dataset {output.dataset} --output {output.runs} --checkpoint {params.checkpoint} --code {params.code} --log {log}"
        " --device {resources.device} --precision {resources.precision} --threads {threads}"
