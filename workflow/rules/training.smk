# Requires: the training sets of a block of seeds, and the holdout.
# Yields: the results of the block's runs, a row a run: of learners trained by steps, and of those fitted at once.


rule train:
    input:
        dataset=rules.dataset.output[0],
        holdout=rules.holdout.output[0],
    output:
        "results/runs/{data}/{function}/{model}/{training}/k{k}/T{T}/n{n}/seeds{seeds}.parquet",
    log:
        "results/logs/train/{data}/{function}/{model}/{training}/k{k}/T{T}/n{n}/seeds{seeds}.log",
    benchmark:
        "results/benchmarks/train/{data}/{function}/{model}/{training}/k{k}/T{T}/n{n}/seeds{seeds}.tsv"
    wildcard_constraints:
        training=f"(?!{pipeline.config.NO_TRAINING}/)[a-z0-9_]+",
    conda:
        "../../environment.yml"
    threads: 1  # a job a core: products this small gain nothing from more threads
    resources:
        device=CONFIG.compute.device,  # where a run is computed is no reason to compute it again
        precision=CONFIG.compute.precision,
    params:
        spec=lambda w: specifications.training_spec(CONFIG, cell_of(w, w.training)),
        code=lambda w: specifications.training_code(CONFIG, cell_of(w, w.training)),
        # no output: Snakemake would delete it before a job that is to go on from it
        checkpoint="results/checkpoints/{data}/{function}/{model}/{training}/k{k}/T{T}/n{n}/seeds{seeds}.pt",
    shell:
        "python -m pipeline.jobs train --spec {params.spec:q} --dataset {input.dataset} --holdout {input.holdout}"
        " --output {output} --checkpoint {params.checkpoint} --code {params.code} --log {log} --device {resources.device}"
        " --precision {resources.precision} --threads {threads}"


rule fit:
    input:
        dataset=rules.dataset.output[0],
        holdout=rules.holdout.output[0],
    output:
        f"results/runs/{{data}}/{{function}}/{{model}}/{pipeline.config.NO_TRAINING}/k{{k}}/T{{T}}/n{{n}}/seeds{{seeds}}.parquet",
    log:
        "results/logs/fit/{data}/{function}/{model}/k{k}/T{T}/n{n}/seeds{seeds}.log",
    benchmark:
        "results/benchmarks/fit/{data}/{function}/{model}/k{k}/T{T}/n{n}/seeds{seeds}.tsv"
    conda:
        "../../environment.yml"
    params:
        spec=lambda w: specifications.fitting_spec(
            CONFIG, cell_of(w, pipeline.config.NO_TRAINING)
        ),
        code=lambda w: specifications.fitting_code(
            CONFIG, cell_of(w, pipeline.config.NO_TRAINING)
        ),
        checkpoint=f"results/checkpoints/{{data}}/{{function}}/{{model}}/{pipeline.config.NO_TRAINING}/k{{k}}/T{{T}}/n{{n}}/seeds{{seeds}}.pt",
    shell:
        "python -m pipeline.jobs fit --spec {params.spec:q} --dataset {input.dataset} --holdout {input.holdout}"
        " --output {output} --checkpoint {params.checkpoint} --code {params.code} --log {log}"
