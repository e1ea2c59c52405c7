"""Figures in the sizes and fonts of conference templates, their data as CSV, and a LaTeX table of critical sizes."""
