"""Cells, builds and hosts: what was measured, which artefacts, and where."""

from collections.abc import Collection, Sequence

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from schema.cells import Cell
from schema.tables import BuildRow, CellRow, HostRow
from schema.trials import Build


def record_cells(session: Session, cells: Sequence[Cell]) -> None:
    """Keep the cells that are not known yet."""
    if not cells:
        return
    known = {cell.key: cell for cell in cells}
    # always in one order: two recorders must not wait for each other in a circle
    rows = [_row(known[key]) for key in sorted(known)]
    session.execute(insert(CellRow).on_conflict_do_nothing(), rows)


def cells(session: Session) -> list[Cell]:
    """Every cell that was ever planned or tried, by slug."""
    statement = select(CellRow.document).order_by(CellRow.slug, CellRow.key)
    return [Cell.model_validate(document) for document in session.scalars(statement)]


def builds(session: Session, keys: Collection[str] | None = None) -> list[Build]:
    """Every build that ever ran, or those of the keys, by engine and version as text."""
    statement = select(BuildRow).order_by(BuildRow.engine, BuildRow.version, BuildRow.key)
    if keys is not None:
        statement = statement.where(BuildRow.key.in_(keys))
    return [
        Build(**{field: getattr(row, field) for field in Build.model_fields})
        for row in session.scalars(statement)
    ]


def host_names(session: Session) -> dict[str, str]:
    """Of every host by its fingerprint: a machine with a new driver is there twice."""
    return {row[0]: row[1] for row in session.execute(select(HostRow.fingerprint, HostRow.name))}


def _row(cell: Cell) -> dict[str, object]:
    family = cell.family
    return {
        "key": cell.key,
        "slug": cell.slug,
        "family": family.key,
        "family_slug": family.slug,
        "engine": family.engine,
        "model": family.model.name,
        "precision": family.precision,
        "gpu": family.gpu,
        "workload": cell.workload.name,
        "document": cell.model_dump(mode="json"),
    }
