"""The CWE catalogue, and the ids by which people name its entries and the CVE records."""
