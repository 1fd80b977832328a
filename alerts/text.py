"""The digest as plain text, for terminals and logs. Pure."""

from alerts.digest import Digest


def as_text(digest: Digest) -> str:
    """All of it, ending in a newline."""
    lines = [digest.headline, digest.context]
    if digest.link:
        lines.append(digest.link)
    for section in digest.sections:
        lines += ["", section.title]
        for group in section.groups:
            if group.title:
                lines.append(f"  {group.title}")
            width = max(len(row.label) for row in group.rows)
            for row in group.rows:
                lines.append(f"    {row.label:{width}}  {row.text}")
                if row.link:
                    lines.append(f"    {'':{width}}  {row.link}")
    return "\n".join(lines) + "\n"
