"""What is started by hand or by make, beside the workflow: ``python -m pipeline.commands.<command>``."""
