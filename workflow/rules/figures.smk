# Requires: the tables.
# Yields: the figures that the config asks for, as SVG, PNG, self-contained HTML and Vega-Lite specification, and the
# printed summary.

SIZES = {
    "critical": rules.critical_sample_size.output[0],
    "rates": rules.success_rates.output[0],
}
FITTED_SIZES = {**SIZES, "fits": rules.scaling_fits.output[0]}

# Of each figure, the tables that its module reads, by the names of its options.
FIGURE_TABLES = {
    "critical_sample_size": FITTED_SIZES,
    "laws": {
        "verdicts": rules.law_fits.output.verdicts,
        "fits": rules.law_fits.output.fits,
        "points": rules.law_fits.output.sizes,
        "curves": rules.law_fits.output.curves,
        "critical": rules.critical_sample_size.output[0],
    },
    "success_heatmap": {**SIZES, "runs": rules.runs_table.output[0]},
    "learning_curves": {"curves": rules.learning_curves_table.output[0]},
    "functions": FITTED_SIZES,
    "sparsity": SIZES,
    "learners": SIZES,
    "noise": SIZES,
    "sensitivity": {"sensitivity": rules.sensitivity.output[0]},
    "attention": {
        "attention": rules.attention_table.output[0],
        "critical": rules.critical_sample_size.output[0],
    },
    "attention_map": {
        "maps": rules.attention_maps_table.output[0],
        "steps": rules.attention_steps.output[0],
    },
    "transitions": {
        "runs": rules.runs_table.output[0],
        "transitions": rules.transitions.output[0],
        "fits": rules.transition_fits.output[0],
    },
    "progress": {"progress": rules.progress_table.output[0]},
    "representation": {
        "representation": rules.representation.output[0],
        **(
            {"heads": rules.head_norms.output[0]}
            if "heads" in targets.theory_parts(CONFIG)
            else {}
        ),
    },
    "capacity": {"capacity": rules.capacity.output[0]},
    "basin": {"basin": rules.basin.output[0]},
}

# What some of them take beside the tables.
FIGURE_OPTIONS = {
    **{figure: f"--paper {shlex.quote(path)}" for figure, path in PAPER_POINTS.items()},
    "noise": f"--spec {shlex.quote(specifications.noise_spec(CONFIG))}",
    "attention": f"--confidence {CONFIG.analysis.confidence}",
}

# Of the docstrings of the figures' modules. The report's template finds them in the config: as params, they would
# draw a figure anew for a new caption.
CAPTIONS = {figure: caption(figure) for figure, _ in CONFIG.figures}
config["captions"] = {
    figure: f"**{told.question}**\n\n{told.text}" for figure, told in CAPTIONS.items()
}


for figure, tables in FIGURE_TABLES.items():

    rule:
        name:
            f"figure_{figure}"
        input:
            **tables,
            paper=PAPER_POINTS.get(figure, []),
        output:
            multiext(f"results/figures/{figure}", ".png", ".html", ".vl.json"),
            svg=report(
                f"results/figures/{figure}.svg",
                caption="../report/figure.rst",
                category="Theory" if figure in targets.THEORY_FIGURES else "Figures",
                labels={"figure": CAPTIONS[figure].title},
            ),
        log:
            f"results/logs/figures/{figure}.log",
        conda:
            "../../environment.yml"
        params:
            figure=figure,
            experiments=experiments_of(figure),
            tables=" ".join(f"--{name} {path}" for name, path in tables.items()),
            options=FIGURE_OPTIONS.get(figure, ""),
            code=code_of(f"pipeline.figures.{figure}"),
        shell:
            "python -m pipeline.figures.{params.figure} {params.tables} {params.options} {params.experiments}"
            " --output-folder results/figures --log {log}"


# Of runs on fresh samples, if there are any.
TRANSITIONS = (
    {
        "transitions": rules.transitions.output[0],
        "growth": rules.transition_fits.output[0],
    }
    if CONFIG.online
    else {}
)
LEDGER = {"claims": rules.claims.output.json} if CLAIMS else {}


rule summary:
    input:
        **TRANSITIONS,
        **LEDGER,
        critical=rules.critical_sample_size.output[0],
        fits=rules.scaling_fits.output[0],
        verdicts=rules.law_fits.output.verdicts,
        runs=rules.runs_table.output[0],
    output:
        report(
            "results/summary.txt",
            caption="../report/summary.rst",
            category="Summary",
            labels={"figure": "Critical sample sizes in a few lines"},
        ),
    log:
        "results/logs/summary.log",
    conda:
        "../../environment.yml"
    params:
        spec=json.dumps(
            {
                "share": CONFIG.analysis.success_share,
                "confidence": CONFIG.analysis.confidence,
                "figures": bool(targets.drawn(CONFIG)),
            }
        ),
        options=" ".join(
            f"--{name} {path}" for name, path in (TRANSITIONS | LEDGER).items()
        ),
        code=code_of("pipeline.jobs.summarise"),
    shell:
        "python -m pipeline.jobs summarise --spec {params.spec:q} --critical {input.critical} --fits {input.fits}"
        " --verdicts {input.verdicts} --runs {input.runs} {params.options} --output {output} --log {log}"
