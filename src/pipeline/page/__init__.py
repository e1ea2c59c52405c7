"""The page of results: one HTML file that holds all it shows (docs/results-page.md)."""
