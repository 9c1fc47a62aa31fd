"""The evaluation in other people's harnesses: lm-evaluation-harness and Inspect."""
