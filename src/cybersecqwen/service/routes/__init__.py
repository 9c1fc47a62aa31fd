"""The routes of the HTTP API, one module for each resource."""

from __future__ import annotations

from fastapi import APIRouter

from cybersecqwen.service.routes import (
    chat,
    classification,
    documentation,
    exports,
    health,
    lookup,
    questions,
    records,
    reviews,
    sessions,
    webhooks,
)

ROUTERS: tuple[APIRouter, ...] = (
    classification.router,
    questions.router,
    lookup.router,
    chat.router,
    records.router,
    reviews.router,
    exports.router,
    webhooks.router,
    sessions.router,
    health.router,
    documentation.router,
)
