"""Telling Slack, once. The only door to slack_sdk."""

import os
from datetime import UTC, datetime, timedelta
from http.client import HTTPException

from slack_sdk import WebClient
from slack_sdk.errors import SlackClientError
from slack_sdk.http_retry.builtin_handlers import RateLimitErrorRetryHandler

from alerts.blocks import as_blocks
from alerts.digest import Digest
from alerts.errors import SlackNotConfigured, SlackRefused
from schema.session import writing
from schema.store.digests import claim_digest, digest_posted, digests, release_digest

ANSWER_WITHIN_S = 30
RATE_LIMIT_RETRIES = 2
CLAIM_HOLDS = timedelta(minutes=15)
"""A claim this old without a post is of a process that died: posting takes a minute at most."""


def announce(digest: Digest, *, url: str | None = None) -> bool:
    """Post the digest unless it was posted before; returns whether it was posted now.

    Two callers at once post once: the claim is committed before the post. A post that fails
    releases the claim, so that the next call tries again. `url` is the database's, else
    DATABASE_URL. Raises SlackNotConfigured and SlackRefused.
    """
    client = _client()
    where = _setting("SLACK_CHANNEL", "the channel's ID, C0123456789")
    if not _claim(digest.night, where, url):
        return False
    try:
        ts = _post(client, digest, where)
    except BaseException:
        with writing(url) as session:
            release_digest(session, digest.night, where)
        raise
    with writing(url) as session:
        digest_posted(session, digest.night, where, ts)
    return True


def _claim(night: str, where: str, url: str | None) -> bool:
    with writing(url) as session:
        if claim_digest(session, night, where):
            return True
        [held] = [one for one in digests(session, night) if one.channel == where]
        if held.posted_at or datetime.now(UTC) - held.claimed_at < CLAIM_HOLDS:
            return False
        release_digest(session, night, where)
        return claim_digest(session, night, where)


def _post(client: WebClient, digest: Digest, where: str) -> str:
    try:
        answer = client.chat_postMessage(
            channel=where, text=digest.headline, blocks=as_blocks(digest), unfurl_links=False
        )
    except (SlackClientError, HTTPException, OSError) as error:
        what = " ".join(str(error).split())
        raise SlackRefused(
            f"the digest of {digest.night} was not posted to {where} ({what}); the next attempt "
            "posts it: check SLACK_BOT_TOKEN and that the bot is a member of the channel"
        ) from error
    return str(answer["ts"])


def _client() -> WebClient:
    """Retries rate limits only: after a broken connection Slack may have the message already."""
    token = _setting("SLACK_BOT_TOKEN", "a bot token with chat:write, xoxb-...")
    return WebClient(
        token=token,
        base_url=os.environ.get("SLACK_API_URL") or WebClient.BASE_URL,
        timeout=ANSWER_WITHIN_S,
        retry_handlers=[RateLimitErrorRetryHandler(max_retry_count=RATE_LIMIT_RETRIES)],
    )


def _setting(name: str, what: str) -> str:
    value = os.environ.get(name, "").strip()
    if not value:
        raise SlackNotConfigured(f"{name} is not set: export {name} with {what}")
    return value
