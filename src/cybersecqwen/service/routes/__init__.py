"""The routes of the HTTP API, one module for each resource."""

from __future__ import annotations

from fastapi import APIRouter

from cybersecqwen.service.routes import (
    chat,
    classification,
    documentation,
    health,
    lookup,
    questions,
    records,
    reviews,
    sessions,
)

ROUTERS: tuple[APIRouter, ...] = (
    classification.router,
    questions.router,
    lookup.router,
    chat.router,
    records.router,
    reviews.router,
    sessions.router,
    health.router,
    documentation.router,
)
