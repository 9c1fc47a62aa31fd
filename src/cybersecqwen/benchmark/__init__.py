"""Evaluate models on benchmarks: under a fixed protocol, with every answer kept and then scored."""
