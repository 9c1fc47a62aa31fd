"""Answers to questions about CVEs, from their records, KEV, EPSS and the names they go by."""
