# Requires: the tables that the claims read, as far as the config's experiments give them.
# Yields: results/claims.json and results/claims.md, the verdict on each claim, if the config names claims.


rule claims:
    input:
        tables=targets.claims_tables(CONFIG, CLAIMS, "results/tables"),
    output:
        json="results/claims.json",
        markdown="results/claims.md",
    log:
        "results/logs/claims.log",
    conda:
        "../../environment.yml"
    params:
        # as a function, for the braces of the run files' path
        spec=lambda w: specifications.claims_spec(
            CONFIG, CLAIMS, rules.train.output[0], Path(workflow.basedir)
        ),
        code=code_of("pipeline.jobs.claims"),
    shell:
        "python -m pipeline.jobs claims --spec {params.spec:q} --tables {input.tables} --json {output.json}"
        " --markdown {output.markdown} --log {log}"
