"""Ask a model the items of a benchmark under a fixed protocol, keep every answer, score them."""
