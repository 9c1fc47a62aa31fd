"""The review console in the browser, rendered here: pages that work without their script.

queue_pages    the queue: filters, saved ones, and one verdict on many records with a preview
record_pages   one record: text, evidence, candidates in the CWE tree, verdicts, comments, history
question_pages questions with their evidence, and a text to classify
import_pages   files in, their progress, every refused row
dashboard      agreement, calibration, coverage, throughput, age of the feeds
drift_pages    drift of records, suggestions and labels
account_pages  logging in, the audit trail, help
"""

from __future__ import annotations

from fastapi import APIRouter

from cybersecqwen.service.console import (
    account_pages,
    dashboard,
    drift_pages,
    import_pages,
    question_pages,
    queue_pages,
    record_pages,
)
from cybersecqwen.service.console.account_pages import login_page
from cybersecqwen.service.console.page import error_page

__all__ = ["error_page", "login_page", "router"]

router = APIRouter(include_in_schema=False)
for _pages in (
    queue_pages,
    record_pages,
    question_pages,
    import_pages,
    dashboard,
    drift_pages,
    account_pages,
):
    router.include_router(_pages.router)
