"""The rules, by name. A module is imported here so that its rules are known and a change of its code is noticed."""

from pipeline.claims.rule import RULES
from pipeline.claims.rules import agreement, attention, growth, learners, parities

__all__ = ["RULES", "agreement", "attention", "growth", "learners", "parities"]
