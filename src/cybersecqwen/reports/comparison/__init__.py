"""Several evaluated models side by side: tables with significance, plots, and every item.

found = compare(runs, benchmark, settings=Settings(published=True))
write_comparison(found, Path("comparison"))     # comparison.md, .json, .html, plots/*.svg
"""

from cybersecqwen.reports.comparison.against_reference import Settings, compare
from cybersecqwen.reports.comparison.files import write_comparison

__all__ = ["Settings", "compare", "write_comparison"]
