"""What trials made to confirm an episode say about it, in words where they cannot tell. Pure.

Last good and tonight's build ran in turns, so a difference between them is the build's. Where they
do not differ, the last good build is a witness of its own: as slow as tonight's it blames the host,
at its old level it denies the suspicion.
"""

from collections.abc import Mapping

from regressions.attribution import Fingerprint, Seen, Witness, Witnessed, attribute
from regressions.evidence import Evidence
from regressions.following import confirmed, is_back, step, still
from regressions.policy import Policy
from regressions.sentences import counted, percent
from regressions.tonight import Place, Tonight, place, summary
from regressions.witnesses import fingerprint, says, together
from schema.episodes import Attribution, Cause, Episode, EpisodeState, Member
from schema.judgements import Judgement

AGAIN = "measured again in turns"


def confirm(episode: Episode, tonight: Tonight, policy: Policy) -> Episode:
    """The episode after the trials that were made to confirm it, or after why none were."""
    if episode.state is not EpisodeState.SUSPECTED:
        return episode
    own = tonight.moved_by(episode)
    again = {place(one): one for one in tonight.confirmed.in_turns if place(one) in own}
    if not again:
        return _not_measured(episode, tonight)
    asked = {at: member for at, member in own.items() if at in again}
    if moved := still(own, again.values()):
        return _differ(episode, tonight, f"{AGAIN}: {summary(moved)}", again)
    if is_back(asked, again, policy):
        return _alike(episode, tonight, asked, policy)
    largest = _largest(again)
    why = f"{AGAIN} and still undecided: {largest.comparison.metric} {largest.reason}"
    return step(episode, tonight, EpisodeState.SUSPECTED, why)


def _not_measured(episode: Episode, tonight: Tonight) -> Episode:
    planned = tonight.confirmed.planned.get(episode.key)
    if planned is None:
        return episode
    why = planned.reason
    if planned.launches:
        why = f"not confirmed: no trial is valid of {planned.reason}"
    return step(episode, tonight, EpisodeState.SUSPECTED, why)


def _differ(
    episode: Episode, tonight: Tonight, why: str, again: Mapping[Place, Judgement]
) -> Episode:
    """The builds differ in turns: the build did it, unless they ran on different hosts."""
    warned = {own.code for one in again.values() for own in one.comparison.warnings}
    apart = Fingerprint.HOST if "host-changed" in warned else Fingerprint.SAME
    attribution, because = attribute(
        Witnessed(build_changed=True, seen=Seen.IN_TURNS, fingerprint=apart)
    )
    if attribution is not Attribution.BUILD:
        return step(episode, tonight, EpisodeState.SUSPECTED, f"{why}; {because}")
    known = episode.cause
    if known.attribution is Attribution.BUILD:
        return confirmed(episode, tonight, why)
    cause = _cause(known, attribution, known.builds[1].partition(" ")[0], because)
    return confirmed(episode, tonight, why, cause)


def _alike(
    episode: Episode, tonight: Tonight, asked: Mapping[Place, Member], policy: Policy
) -> Episode:
    """The builds do not differ in turns: was the last good one tonight what it used to be?"""
    levels = {place(one): one for one in tonight.confirmed.levels if place(one) in asked}
    said = together(
        says(asked[at].change, one.comparison, policy.alpha) for at, one in levels.items()
    )
    name = episode.cause.builds[0]
    if said is Witness.MOVED and tonight.confirmed.evidence is not None:
        cause = _of_host(episode.cause, tonight.confirmed.evidence, next(iter(levels))[0])
        largest = _largest(levels).comparison
        moved = f"{largest.metric} {percent(largest.change or 0.0)}"
        why = f"{AGAIN}: the builds do not differ, and {name} has moved as well: {moved}"
        return confirmed(episode, tonight, why, cause)
    if said is Witness.STEADY or episode.cause.attribution is Attribution.BUILD:
        why = f"{AGAIN}, {counted(len(asked), 'comparison')} did not show it"
        return step(episode, tonight, EpisodeState.NOT_REPRODUCED, why)
    why = (
        f"{AGAIN} and still undecided: the builds do not differ, and too little is known of {name} "
        "in the nights before to tell whether the host has changed"
    )
    return step(episode, tonight, EpisodeState.SUSPECTED, why)


def _largest(found: Mapping[Place, Judgement]) -> Judgement:
    """That of the largest change."""
    return max(found.values(), key=lambda one: abs(one.comparison.change or 0.0))


def _of_host(known: Cause, evidence: Evidence, cell: str) -> Cause:
    """Whom the last good build blames by having moved along; who is named already stays."""
    if known.attribution not in (Attribution.UNKNOWN, Attribution.BUILD):
        return known
    before, now = evidence.fingerprints[cell]
    changed, differing = fingerprint(evidence.hosts, before, now)
    said = Witnessed(build_changed=True, last_good=Witness.MOVED, fingerprint=changed)
    attribution, because = attribute(said)
    named = attribution in (Attribution.DRIVER, Attribution.CLIENT) and differing
    hosts = ", ".join(dict.fromkeys(evidence.hosts[key].name for key in now))
    return _cause(known, attribution, named or hosts, because)


def _cause(known: Cause, attribution: Attribution, subject: str, because: str) -> Cause:
    reasons = tuple(dict.fromkeys((because, *known.reasons)))
    return known.model_copy(
        update={"attribution": attribution, "subject": subject, "reasons": reasons}
    )
