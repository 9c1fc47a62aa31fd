"""The analyst: map vulnerabilities to CWEs and answer questions, for the CLI and the API alike."""
