# Requires: the tables.
# Yields: the figures that the config asks for, as SVG, PNG and self-contained HTML, and the printed summary.


rule figure_critical_sample_size:
    input:
        critical=rules.critical_sample_size.output[0],
        fits=rules.scaling_fits.output[0],
        rates=rules.success_rates.output[0],
        paper=targets.paper_points(CONFIG, Path(workflow.basedir)),
    output:
        multiext("results/figures/critical_sample_size", ".svg", ".png", ".html"),
    log:
        "results/logs/figures/critical_sample_size.log",
    conda:
        "../../environment.yml"
    params:
        experiments=list(targets.shown(CONFIG, "critical_sample_size")),
        paper=lambda w, input: (
            f"--paper {shlex.quote(str(input.paper))}" if input.paper else ""
        ),
        code=fingerprint("pipeline.figures.critical_sample_size"),
    shell:
        "python -m pipeline.figures.critical_sample_size --critical {input.critical} --fits {input.fits}"
        " --rates {input.rates} {params.paper} --experiments {params.experiments} --output-folder results/figures 2> {log}"


rule figure_functions:
    input:
        critical=rules.critical_sample_size.output[0],
        fits=rules.scaling_fits.output[0],
        rates=rules.success_rates.output[0],
    output:
        multiext("results/figures/functions", ".svg", ".png", ".html"),
    log:
        "results/logs/figures/functions.log",
    conda:
        "../../environment.yml"
    params:
        experiments=list(targets.shown(CONFIG, "functions")),
        code=fingerprint("pipeline.figures.functions"),
    shell:
        "python -m pipeline.figures.functions --critical {input.critical} --fits {input.fits} --rates {input.rates}"
        " --experiments {params.experiments} --output-folder results/figures 2> {log}"


rule figure_sparsity:
    input:
        critical=rules.critical_sample_size.output[0],
        rates=rules.success_rates.output[0],
    output:
        multiext("results/figures/sparsity", ".svg", ".png", ".html"),
    log:
        "results/logs/figures/sparsity.log",
    conda:
        "../../environment.yml"
    params:
        experiments=list(targets.shown(CONFIG, "sparsity")),
        code=fingerprint("pipeline.figures.sparsity"),
    shell:
        "python -m pipeline.figures.sparsity --critical {input.critical} --rates {input.rates}"
        " --experiments {params.experiments} --output-folder results/figures 2> {log}"


rule figure_noise:
    input:
        critical=rules.critical_sample_size.output[0],
        rates=rules.success_rates.output[0],
    output:
        multiext("results/figures/noise", ".svg", ".png", ".html"),
    log:
        "results/logs/figures/noise.log",
    conda:
        "../../environment.yml"
    params:
        experiments=list(targets.shown(CONFIG, "noise")),
        spec=targets.noise_spec(CONFIG),
        code=fingerprint("pipeline.figures.noise"),
    shell:
        "python -m pipeline.figures.noise --spec {params.spec:q} --critical {input.critical} --rates {input.rates}"
        " --experiments {params.experiments} --output-folder results/figures 2> {log}"


rule figure_success_heatmap:
    input:
        rates=rules.success_rates.output[0],
        critical=rules.critical_sample_size.output[0],
    output:
        multiext("results/figures/success_heatmap", ".svg", ".png", ".html"),
    log:
        "results/logs/figures/success_heatmap.log",
    conda:
        "../../environment.yml"
    params:
        experiments=list(targets.shown(CONFIG, "success_heatmap")),
        code=fingerprint("pipeline.figures.success_heatmap"),
    shell:
        "python -m pipeline.figures.success_heatmap --rates {input.rates} --critical {input.critical}"
        " --experiments {params.experiments} --output-folder results/figures 2> {log}"


rule figure_learning_curves:
    input:
        curves=rules.learning_curves_table.output[0],
    output:
        multiext("results/figures/learning_curves", ".svg", ".png", ".html"),
    log:
        "results/logs/figures/learning_curves.log",
    conda:
        "../../environment.yml"
    params:
        experiments=list(targets.shown(CONFIG, "learning_curves")),
        code=fingerprint("pipeline.figures.learning_curves"),
    shell:
        "python -m pipeline.figures.learning_curves --curves {input.curves}"
        " --experiments {params.experiments} --output-folder results/figures 2> {log}"


rule figure_learners:
    input:
        critical=rules.critical_sample_size.output[0],
        rates=rules.success_rates.output[0],
    output:
        multiext("results/figures/learners", ".svg", ".png", ".html"),
    log:
        "results/logs/figures/learners.log",
    conda:
        "../../environment.yml"
    params:
        experiments=list(targets.shown(CONFIG, "learners")),
        code=fingerprint("pipeline.figures.learners"),
    shell:
        "python -m pipeline.figures.learners --critical {input.critical} --rates {input.rates}"
        " --experiments {params.experiments} --output-folder results/figures 2> {log}"


rule summary:
    input:
        critical=rules.critical_sample_size.output[0],
        fits=rules.scaling_fits.output[0],
        runs=rules.runs_table.output[0],
    output:
        "results/summary.txt",
    log:
        "results/logs/summary.log",
    conda:
        "../../environment.yml"
    params:
        spec=json.dumps(
            {
                "share": CONFIG.analysis.success_share,
                "confidence": CONFIG.analysis.confidence,
            }
        ),
        code=fingerprint("pipeline.jobs.summarise"),
    shell:
        "python -m pipeline.jobs.summarise --spec {params.spec:q} --critical {input.critical} --fits {input.fits}"
        " --runs {input.runs} --output {output} --log {log}"
