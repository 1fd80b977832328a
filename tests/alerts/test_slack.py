"""Slack hears of a night once: not twice, not never."""

import json
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

import pytest

from alerts import slack
from alerts.digest import Digest
from alerts.errors import SlackNotConfigured, SlackRefused
from schema.nights import Night
from schema.session import reading, writing
from schema.store.digests import claim_digest, digests
from schema.store.nights import record_night

Answer = tuple[int, dict[str, str], bytes]
TAKEN: Answer = (200, {}, b'{"ok": true, "channel": "C1", "ts": "1700000000.000100"}')
LIMITED: Answer = (429, {"Retry-After": "1"}, b'{"ok": false, "error": "ratelimited"}')
BROKEN: Answer = (500, {}, b"upstream failed")
REFUSED: Answer = (200, {}, b'{"ok": false, "error": "not_in_channel"}')


class StandIn(ThreadingHTTPServer):
    """Answers as told, the last answer for ever, and keeps what it was sent."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: list[Answer] = [TAKEN]
        self.posts: list[dict[str, object]] = []


class Handler(BaseHTTPRequestHandler):
    server: StandIn

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        if self.headers["Content-Type"].startswith("application/json"):
            posted = json.loads(body)
        else:
            posted = {name: values[0] for name, values in parse_qs(body).items()}
        self.server.posts.append({"path": self.path, **posted})
        answers = self.server.answers
        status, headers, content = answers.pop(0) if len(answers) > 1 else answers[0]
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Stay silent."""


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    with StandIn() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        monkeypatch.setenv("SLACK_BOT_TOKEN", "xoxb-test")
        monkeypatch.setenv("SLACK_CHANNEL", "C1")
        monkeypatch.setenv("SLACK_API_URL", f"http://127.0.0.1:{server.server_port}/api/")
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def digest(database_url: str, make_night: Callable[..., Night]) -> Digest:
    night = make_night()
    with writing(database_url) as session:
        record_night(session, night)
    return Digest(
        night=night.name, headline="1 worse", is_bad=True, context="c", link=None, sections=()
    )


def test_a_digest_is_posted_once(stand_in: StandIn, digest: Digest, database_url: str) -> None:
    assert slack.announce(digest, url=database_url)
    assert not slack.announce(digest, url=database_url)
    [post] = stand_in.posts
    assert post["path"] == "/api/chat.postMessage"
    assert post["channel"] == "C1"
    assert post["text"] == "1 worse"
    assert "blocks" in post
    with reading(database_url) as session:
        [kept] = digests(session, digest.night)
    assert kept.ts == "1700000000.000100"
    assert kept.posted_at is not None


def test_a_rate_limit_is_waited_out(stand_in: StandIn, digest: Digest, database_url: str) -> None:
    stand_in.answers = [LIMITED, TAKEN]
    assert slack.announce(digest, url=database_url)
    assert len(stand_in.posts) == 2


@pytest.mark.parametrize(
    ("answer", "what"),
    [(BROKEN, "upstream failed"), (REFUSED, "not_in_channel"), (LIMITED, "ratelimited")],
)
def test_a_post_that_fails_leaves_the_digest_to_the_next_attempt(
    stand_in: StandIn,
    digest: Digest,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
    answer: Answer,
    what: str,
) -> None:
    monkeypatch.setattr(slack, "RATE_LIMIT_RETRIES", 0)
    stand_in.answers = [answer]
    with pytest.raises(SlackRefused, match=what):
        slack.announce(digest, url=database_url)
    stand_in.answers = [TAKEN]
    assert slack.announce(digest, url=database_url)
    assert len(stand_in.posts) == 2


def test_a_slack_that_is_away_leaves_the_digest_to_the_next_attempt(
    stand_in: StandIn, digest: Digest, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = f"http://127.0.0.1:{stand_in.server_port}/api/"
    monkeypatch.setenv("SLACK_API_URL", "http://127.0.0.1:9/api/")
    with pytest.raises(SlackRefused, match="refused"):
        slack.announce(digest, url=database_url)
    monkeypatch.setenv("SLACK_API_URL", here)
    assert slack.announce(digest, url=database_url)


def test_a_claim_is_respected_until_its_holder_must_have_died(
    stand_in: StandIn, digest: Digest, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with writing(database_url) as session:
        assert claim_digest(session, digest.night, "C1")
    assert not slack.announce(digest, url=database_url)
    monkeypatch.setattr(slack, "CLAIM_HOLDS", timedelta(0))
    assert slack.announce(digest, url=database_url)
    assert len(stand_in.posts) == 1


def test_many_callers_at_once_post_once(
    stand_in: StandIn, digest: Digest, database_url: str
) -> None:
    posted: list[bool] = []
    callers = [
        threading.Thread(target=lambda: posted.append(slack.announce(digest, url=database_url)))
        for _ in range(4)
    ]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert sorted(posted) == [False, False, False, True]
    assert len(stand_in.posts) == 1


@pytest.mark.parametrize("name", ["SLACK_BOT_TOKEN", "SLACK_CHANNEL"])
def test_a_missing_setting_is_named_before_anything_is_claimed(
    stand_in: StandIn,
    digest: Digest,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    monkeypatch.delenv(name)
    with pytest.raises(SlackNotConfigured, match=f"export {name} with"):
        slack.announce(digest, url=database_url)
    with reading(database_url) as session:
        assert digests(session, digest.night) == []
