# Requires: the figures, the tables that they read, the saved config, the ledger of claims if there is one.
# Yields: results/index.html, the page that holds all of them.

DRAWN = targets.drawn(CONFIG)
COMMAND = specifications.rebuild_command(
    (Path(file).resolve() for file in workflow.configfiles),
    pipeline.config.typed(workflow.config_settings.config),
    Path(workflow.basedir),
)


rule page:
    input:
        figures=[
            f"results/figures/{name}.{suffix}"
            for name in DRAWN
            for suffix in ("svg", "vl.json")
        ],
        tables=sorted({path for name in DRAWN for path in FIGURE_TABLES[name].values()}),
        config=rules.save_config.output[0],
        claims=rules.claims.output.json if CLAIMS else [],
    output:
        report(
            "results/index.html",
            caption="../report/page.rst",
            category="Page",
            labels={"figure": "Claims, interactive figures, tables"},
        ),
    log:
        "results/logs/page.log",
    conda:
        "../../environment.yml"
    resources:
        command=COMMAND,  # a project that has moved is no reason to make the page again
    params:
        claims=f"--claims {rules.claims.output.json}" if CLAIMS else "",
        spec=specifications.page_spec(CONFIG, FIGURE_TABLES, CAPTIONS),
        code=code_of("pipeline.jobs.page"),
    shell:
        "python -m pipeline.jobs page --spec {params.spec:q} --command {resources.command:q} --tables {input.tables}"
        " --figures results/figures --config {input.config} {params.claims} --benchmarks results/benchmarks --output {output} --log {log}"
