"""What the workflow's jobs run: ``python -m pipeline.jobs <job>``, with explicit paths and a JSON specification."""

LESS_MEMORY = (
    "run fewer jobs at a time (--cores 1), or lower compute.seeds_per_job, T, n, holdout_size, max_steps, or the"
    " model's width or layers"
)
