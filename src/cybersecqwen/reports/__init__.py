"""Reports: what is on disk as text, pages and plots that a person reads or a hub shows.

    model_card.render(run)                        the model card of a run
    results.results_table(run)                    its scores, beside published ones in the card
    comparison.compare(runs, benchmark, ...)      several models, item by item
    dataset.describe(corpus, records, ...)        what is in records and corpora
    audit_report.write_audit(audit, ...)          what an audit found

To add one: a module here that computes its values from what a stage left on disk, a template beside
it (`.md.jinja` or `.html.jinja`) that is the document, and a command that prints it.
"""
