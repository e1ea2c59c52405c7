"""Baselines that are fitted at once to the same samples as the networks (docs/baselines.md); one module a learner."""
