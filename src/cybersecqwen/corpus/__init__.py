"""From vulnerability records to a decontaminated corpus with its certificate."""
