# Requires: the config.
# Yields: results/config.yaml, the holdout of each (data, function, k, T), and the training sets of each block of seeds.


rule save_config:
    output:
        "results/config.yaml",
    log:
        "results/logs/save_config.log",
    conda:
        "../../environment.yml"
    params:
        spec=json.dumps(CONFIG.model_dump(mode="json")),
        code=code_of("pipeline.jobs.save_config"),
    shell:
        "python -m pipeline.jobs save_config --spec {params.spec:q} --output {output} --log {log}"


rule holdout:
    output:
        "results/datasets/{data}/{function}/k{k}/T{T}/holdout.parquet",
    log:
        "results/logs/holdout/{data}/{function}/k{k}/T{T}.log",
    benchmark:
        "results/benchmarks/holdout/{data}/{function}/k{k}/T{T}.tsv"
    conda:
        "../../environment.yml"
    params:
        spec=lambda w: json.dumps(
            {
                "function": w.function,
                "k": int(w.k),
                "T": int(w.T),
                "holdout_size": CONFIG.data[w.data].holdout_size,
            }
        ),
        code=lambda w: fingerprint("pipeline.jobs.holdout", FUNCTIONS=w.function),
    shell:
        "python -m pipeline.jobs holdout --spec {params.spec:q} --output {output} --log {log}"


rule dataset:
    input:
        holdout=rules.holdout.output[0],
    output:
        "results/datasets/{data}/{function}/k{k}/T{T}/n{n}/seeds{seeds}.parquet",
    log:
        "results/logs/dataset/{data}/{function}/k{k}/T{T}/n{n}/seeds{seeds}.log",
    benchmark:
        "results/benchmarks/dataset/{data}/{function}/k{k}/T{T}/n{n}/seeds{seeds}.tsv"
    conda:
        "../../environment.yml"
    params:
        spec=lambda w: specifications.dataset_spec(
            CONFIG,
            w.data,
            w.seeds,
            function=w.function,
            k=int(w.k),
            T=int(w.T),
            n=int(w.n),
        ),
        code=lambda w: fingerprint("pipeline.jobs.dataset", FUNCTIONS=w.function),
        # no output: Snakemake would delete it before a job that is to go on from it
        checkpoint="results/checkpoints/{data}/{function}/k{k}/T{T}/n{n}/seeds{seeds}.pt",
    shell:
        "python -m pipeline.jobs dataset --spec {params.spec:q} --holdout {input.holdout} --output {output}"
        " --checkpoint {params.checkpoint} --code {params.code} --log {log}"
