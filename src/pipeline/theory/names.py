"""Values that the theory's tables have in common with their figures."""

# of the table capacity, the bounds and what their norms are of
NORMS, REMEMBERED, COUNTING = "norms", "norms, remembered form", "parameters"
CONSTRUCTED, TRAINED, FORMULA = "constructed", "trained", "formula"
PROMISED = 0.5  # the gap for which a bound's samples are counted

ORDINARY = "ordinary"  # of the table basin, the start that is not constructed
