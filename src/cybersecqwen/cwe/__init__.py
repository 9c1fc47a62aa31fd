"""CWE: the catalogue, its graph, MITRE's mapping advice, ids, labels and rationales."""
