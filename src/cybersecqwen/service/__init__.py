"""The service of a team: its HTTP API, its console, and the database of what people decided."""
