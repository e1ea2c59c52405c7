"""The data: sparse Boolean functions, training sets and holdouts, and whether a sample determines the support."""
