"""The queue: filters, pages, what somebody saved, and one verdict on many records at once."""

from __future__ import annotations

from collections.abc import Sequence
from secrets import token_hex
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlencode

from fastapi import APIRouter
from pydantic import ValidationError
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from cybersecqwen.errors import InputError
from cybersecqwen.service.authentication import Visit
from cybersecqwen.service.console.cwe_tree import search
from cybersecqwen.service.console.page import (
    PageRoute,
    Posted,
    Visited,
    field,
    figures,
    number,
    redirect,
    render_page,
    require,
)
from cybersecqwen.service.exports import EXPORTS
from cybersecqwen.service.queue import ORDERS, Filters, conditions, page, states
from cybersecqwen.service.reviews import (
    BulkPreview,
    Decision,
    Verdict,
    decide_all,
    needs_second,
    preview,
)
from cybersecqwen.service.tables import Record, SavedFilter

router = APIRouter(route_class=PageRoute, include_in_schema=False)

SIZES = (25, 50, 100, 200)  # records of a page
_COUNTED = 1000  # hits of a filter that are counted
_SNIPPET = 220  # characters
_MOST_SAVED = 50
_VERDICTS: tuple[Verdict, ...] = ("accept", "correct", "reject")


class Outcome(NamedTuple):
    """What a verdict on one of many records does, or why it does nothing."""

    record: Record
    cwe: str = ""
    second: bool = False  # it goes to a second reviewer
    refused: str = ""


@router.get("/")
def start(visit: Visited) -> Response:
    """Begin at the queue."""
    return redirect("/queue")


@router.get("/queue")
def queue(request: Request, visit: Visited) -> Response:
    """Show a page of the queue."""
    filters, asked = read_filters(request.url.query)
    size = int(asked.get("size", "50")) if asked.get("size", "50") in map(str, SIZES) else 50
    state = request.app.state
    with state.database.read() as session:
        shown = page(session, filters, limit=size, after=asked.get("after", ""))
        counts = figures(request).get("states", lambda: states(session))
        return render_page(
            request,
            visit,
            "queue",
            filters=filters,
            own_query=filters_query(filters),
            records=shown.records,
            snippets=_snippets(session, shown.records),
            following=shown.next,
            is_first="after" not in asked,
            counts=counts,
            total=_total(request, session, filters, counts),
            most=_COUNTED,
            size=size,
            sizes=SIZES,
            orders=list(ORDERS),
            saved=_saved(session, visit),
            exports=EXPORTS,
            own_values=_export_values(filters),
            with_state=lambda name: filters_query(filters.model_copy(update={"state": name})),
        )


def read_filters(text: str) -> tuple[Filters, dict[str, str]]:
    """Read the query of an address: the filters, and what else it says.

    Raises InputError that names the part that is wrong.
    """
    given = {name: value.strip() for name, value in parse_qsl(text) if value.strip()}
    own: dict[str, Any] = {n: v for n, v in given.items() if n in Filters.model_fields}
    if own.get("state") == "any":
        own["state"] = None
    try:
        filters = Filters.model_validate(own)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]).replace("_", " ")
        raise InputError(f"the filter {name!r}: {first['msg'].lower()}") from error
    return filters, {n: v for n, v in given.items() if n not in own}


def filters_query(filters: Filters) -> str:
    """Write filters as the query of an address; the usual ones are left out."""
    chosen = filters.model_dump(exclude_defaults=True)
    if "state" in chosen and chosen["state"] is None:
        chosen["state"] = "any"
    written = {n: str(v).lower() if isinstance(v, bool) else v for n, v in chosen.items()}
    return urlencode({n: v for n, v in written.items() if v is not None})


def _export_values(filters: Filters) -> list[tuple[str, str]]:
    """Return filters as the export takes them, in which every state is an empty one."""
    written = dict(parse_qsl(filters_query(filters)))
    return list((written | {"state": filters.state or ""}).items())


def _snippets(session: Session, records: Sequence[Record]) -> dict[int, str]:
    """Return how the text of each record begins; the rest stays in the database."""
    query = select(Record.id, func.substr(Record.text, 1, _SNIPPET)).where(
        Record.id.in_([record.id for record in records])
    )
    return dict(session.execute(query).all())


def _total(request: Request, session: Session, filters: Filters, counts: dict[str, int]) -> int:
    """Count what a filter lets through, up to a limit that keeps it quick."""
    if filters == Filters(state=filters.state, order=filters.order):
        return counts[filters.state] if filters.state else sum(counts.values())
    some = select(Record.id).where(*conditions(filters)).limit(_COUNTED + 1).subquery()

    def count() -> int:
        return session.scalar(select(func.count()).select_from(some)) or 0

    total: int = figures(request).get(f"total {filters!r}", count)
    return total


def _saved(session: Session, visit: Visit) -> list[SavedFilter]:
    own = select(SavedFilter).where(SavedFilter.owner == visit.actor.name)
    return list(session.scalars(own.order_by(SavedFilter.name).limit(_MOST_SAVED)))


@router.post("/queue/filters")
def save_filter(request: Request, visit: Visited, form: Posted) -> Response:
    """Keep a filter under a name; one of that name is replaced."""
    name, (filters, _) = field(form, "name")[:100], read_filters(field(form, "query"))
    if not name:
        raise InputError("the filter has no name", tip="give it one")
    query = filters_query(filters)
    with request.app.state.database.write() as session:
        owner = visit.actor.name
        held = session.scalars(
            select(SavedFilter).where(SavedFilter.owner == owner, SavedFilter.name == name)
        ).first()
        if held:
            held.query = query
        else:
            session.add(SavedFilter(owner=owner, name=name, query=query))
    return redirect("/queue", query)


@router.post("/queue/filters/delete")
def delete_filter(request: Request, visit: Visited, form: Posted) -> Response:
    """Forget a filter that the visitor saved."""
    with request.app.state.database.write() as session:
        held = session.get(SavedFilter, number(field(form, "filter"), "the filter"))
        if held and held.owner == visit.actor.name:
            session.delete(held)
    return redirect("/queue", filters_query(read_filters(field(form, "query"))[0]))


@router.post("/queue/preview")
def preview_many(request: Request, visit: Visited, form: Posted) -> Response:
    """Show what one verdict would do to each of the records chosen, and do nothing."""
    require(visit, "reviewer", "judge records")
    decision, versions = _decision(form), _chosen(form)
    with request.app.state.database.read() as session:
        records = _records(session, versions)
        outcomes = _outcomes(request, visit, records, decision, versions)
        return render_page(
            request,
            visit,
            "bulk_preview",
            decision=decision,
            outcomes=outcomes,
            possible=sum(not one.refused for one in outcomes),
            missing=len(versions) - len(records),
            hits=search(decision.cwe) if decision.verdict == "correct" else [],
            own_query=filters_query(read_filters(field(form, "query"))[0]),
        )


@router.post("/queue/decide")
def decide_many(request: Request, visit: Visited, form: Posted) -> Response:
    """Do what the preview showed; a record that has changed since then is left as it is."""
    require(visit, "reviewer", "judge records")
    state, versions = request.app.state, _chosen(form)
    decision = _decision(form)._replace(bulk=token_hex(8))
    with state.database.write() as session:
        records = _records(session, versions)
        fresh = [one for one in records if one.version == versions[one.id]]
        done = decide_all(
            session, fresh, decision, actor=visit.actor, second_share=state.settings.second_share
        )
    if stale := len(versions) - len(fresh):
        done = BulkPreview(done.decisions, done.refused | {"it has changed meanwhile": stale})
    return render_page(
        request,
        visit,
        "bulk_done",
        decision=decision,
        done=done,
        number=sum(done.decisions.values()),
        own_query=filters_query(read_filters(field(form, "query"))[0]),
    )


def _decision(form: FormData) -> Decision:
    verdict = next((one for one in _VERDICTS if one == field(form, "verdict")), None)
    if verdict is None:
        raise InputError("no verdict was chosen", tip="accept, correct or reject")
    cwe = field(form, "cwe") if verdict == "correct" else ""
    return Decision(verdict, cwe, field(form, "reason"))


def _chosen(form: FormData) -> dict[int, int]:
    """Return the versions of the records that are ticked, by their ids."""
    chosen = [str(value).partition(":") for value in form.getlist("record")]
    if not chosen:
        raise InputError("no record is chosen", tip="tick some in the queue")
    if len(chosen) > max(SIZES):
        raise InputError(f"{len(chosen)} records at once", tip=f"choose up to {max(SIZES)}")
    return {number(one, "the record"): number(version, "its version") for one, _, version in chosen}


def _records(session: Session, versions: dict[int, int]) -> list[Record]:
    query = select(Record).where(Record.id.in_(versions)).order_by(Record.id)
    return list(session.scalars(query))


def _outcomes(
    request: Request,
    visit: Visit,
    records: Sequence[Record],
    decision: Decision,
    versions: dict[int, int],
) -> list[Outcome]:
    share = request.app.state.settings.second_share
    outcomes = []
    for record in records:
        foreseen = preview([record], decision, actor=visit.actor)
        refused = next(iter(foreseen.refused), "")
        if decision.verdict == "correct" and not decision.cwe:
            refused = "no weakness was named yet"
        if record.version != versions[record.id]:
            refused = "it has changed meanwhile"
        cwe = next(iter(foreseen.decisions), "")
        second = record.state == "open" and needs_second(record.name, share)
        outcomes.append(Outcome(record, cwe, second and not refused, refused))
    return outcomes
