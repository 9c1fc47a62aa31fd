"""The analyst's workplace: an HTTP service, a review console and what both keep in a database.

settings    what the service is started with
database    SQLite by default, PostgreSQL by URL
upgrade     migrations on start, and whether this version can work on a newer schema
locks       names that one process at a time holds
tables      what is kept
audit_trail who decided what, when, why and on what was shown: hash-chained, append-only
queue       which records await review, in what order
products    records by what they say is affected
reviews     verdicts: the first, a blind second, and a third where the two differ
imports     files into records, each with its suggestion, and every refused row named
background_imports  imports beside the requests, and those that other processes have left
accounts    users, their sessions, and the keys of programs
app         the HTTP application: middleware, routes, life span
authentication  who sends a request, and whether they may
protection  what stands before the routes: hosts, origins, limits, headers
rate_limit  how often a client may do something, of all processes together
problems    every error as problem details
inference   the model behind the service, with texts of many requests together
idempotency requests that may be sent again
routes      the HTTP API, one module for each resource
schemas     the shapes of requests and answers
metrics     what Prometheus reads
tracing     traces for OpenTelemetry, where the environment asks for them
console     the pages of the browser
mcp_server  lookup, classify and ask as tools of an assistant
exports     records with verdicts and the audit trail, in other programs' formats
backup      a copy that is checked before it replaces an older one
webhooks    signed messages about new records and alarms, until they are delivered
drift       what the drift report says of the workplace's records and verdicts
schedule    what is done by itself: watch folder, feeds, messages
shutdown    how a process ends: not ready first, or because it is outdated
"""
