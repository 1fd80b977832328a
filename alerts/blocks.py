"""The digest in Slack's Block Kit. Pure: alerts.slack sends it."""

from collections.abc import Iterator
from typing import Any

from alerts.digest import Digest, Group, Row

MOST_BLOCKS = 50  # Slack refuses a message with more
LONGEST_TEXT = 3000  # characters of one section's text
LONGEST_HEADER = 150  # characters of a header
LONGEST_ROW = 600  # so that one row with a long reason leaves room for others

Block = dict[str, Any]


def as_blocks(digest: Digest) -> list[Block]:
    """At most MOST_BLOCKS blocks; what does not fit is counted, and is in the dashboard."""
    sign = ":red_circle:" if digest.is_bad else ":large_green_circle:"
    header = _clipped(f"{sign} {digest.headline}", LONGEST_HEADER)
    context = _clipped(_escaped(digest.context), LONGEST_TEXT)
    blocks: list[Block] = [
        {"type": "header", "text": {"type": "plain_text", "text": header, "emoji": True}},
        {"type": "context", "elements": [{"type": "mrkdwn", "text": context}]},
    ]
    bodies = list(_bodies(digest))
    room = MOST_BLOCKS - len(blocks)
    if len(bodies) > room:
        untold = sum(rows for _, rows in bodies[room - 1 :])
        bodies = [*bodies[: room - 1], (_more(untold, digest.link), untold)]
    elif digest.link:
        blocks[1]["elements"][0]["text"] += f" · <{digest.link}|dashboard>"
    return blocks + [_section(text) for text, _ in bodies]


def _bodies(digest: Digest) -> Iterator[tuple[str, int]]:
    """Text of each further block and how many rows it tells; a title goes with its first group."""
    for section in digest.sections:
        title = f"*{section.title}*\n"
        for group in section.groups:
            yield _group(group, title), len(group.rows)
            title = ""


def _group(group: Group, title: str) -> str:
    if group.title:
        title += f"`{_escaped(group.title)}`\n"
    told: list[str] = []
    for row in group.rows:
        line = _row(row)
        rest = len(group.rows) - len(told)
        used = len(title) + sum(len(one) + 1 for one in told)
        if used + len(line) + len(_and_more(rest)) + 2 > LONGEST_TEXT:
            told.append(_and_more(rest))
            break
        told.append(line)
    return title + "\n".join(told)


def _row(row: Row) -> str:
    label = f"<{row.link}|{_escaped(row.label)}>" if row.link else _escaped(row.label)
    return f"• {label}  {_clipped(_escaped(row.text), LONGEST_ROW)}"


def _more(rows: int, link: str | None) -> str:
    text = _and_more(rows)
    return f"{text}: <{link}|dashboard>" if link else text


def _and_more(rows: int) -> str:
    return f"and {rows} more"


def _section(text: str) -> Block:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def _escaped(text: str) -> str:
    """Slack's three control characters (docs.slack.dev, formatting message text)."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _clipped(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
