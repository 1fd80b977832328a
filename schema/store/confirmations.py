"""Confirmations: what was planned in a night to confirm its suspicions."""

from collections.abc import Sequence

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from schema.confirmations import Confirmation
from schema.episode_tables import ConfirmationRow


def confirmations(session: Session, night: str) -> list[Confirmation]:
    """Of a night, in the order of the plan; none when nothing was suspected in it."""
    row = ConfirmationRow
    kept = session.scalars(select(row).where(row.night == night).order_by(row.position))
    return [_read(one) for one in kept]


def record_confirmations(session: Session, planned: Sequence[Confirmation]) -> None:
    """Keep a night's plan, which was not kept before."""
    rows = [
        {"position": position, **one.model_dump(exclude={"builds"}), **_builds(one)}
        for position, one in enumerate(planned)
    ]
    if rows:
        session.execute(insert(ConfirmationRow), rows)


def _builds(one: Confirmation) -> dict[str, str | None]:
    baseline, contender = one.builds or (None, None)
    return {"baseline": baseline, "contender": contender}


def _read(row: ConfirmationRow) -> Confirmation:
    fields = {name: getattr(row, name) for name in Confirmation.model_fields if name != "builds"}
    both = row.baseline is not None and row.contender is not None
    return Confirmation(**fields, builds=(row.baseline, row.contender) if both else None)
