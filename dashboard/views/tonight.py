"""Tonight: one sentence, then what got worse, better, undecided, failed and stayed."""

import streamlit as st

from dashboard import markup, queries, sentences, tables
from dashboard.address import choice
from dashboard.episodes import episode_table, from_before, of_night, untold
from dashboard.overview import overview, shared_parts, short_names
from regressions.sentences import counted

recorded = queries.nights()
if not recorded:
    st.info(sentences.NO_NIGHTS)
    st.stop()

left, right = st.columns([3, 1.25], gap="large")
with right:
    chosen = choice("Night", {own.name: own.name for own in recorded}, "night")
summary = next(own for own in recorded if own.name == chosen)
night = queries.night(chosen)
slugs = {cell.key: cell.slug for cell in night.plan.cells}
names = short_names(slugs)
concerned, elsewhere = of_night(queries.episodes(), night.plan)
seen = overview(
    night.judgements,
    names=names,
    trials=summary.trials,
    older=from_before(concerned, chosen),
    is_timed=not all(cell.family.returns_experts for cell in night.plan.cells),
)
with left:
    lines = [
        sentences.builds_line(night.plan, night.trials),
        sentences.trials_line(
            night.plan,
            night.trials,
            summary.launches,
            sorted({own.policy for own in night.judgements}),
        ),
        sentences.cells_line(night.plan.cells, shared_parts(slugs)),
        *[f"{own.author} noted: {own.text}" for own in night.annotations],
    ]
    st.html(markup.headline(seen.headline, tone=seen.tone, below=lines))

st.subheader("Episodes", anchor="episodes")
if concerned:
    silent = untold(concerned, night.judgements)
    st.html(episode_table(concerned, name="episodes", untold=silent))
else:
    st.caption("No episode about the cells of this night was open.")
if elsewhere:
    told = f"Not judged in this night: {counted(len(elsewhere), 'open episode')} about other cells"
    with st.expander(told):
        st.html(episode_table(elsewhere, name="episodes elsewhere"))

st.subheader("Got worse", anchor="worse")
if seen.worse:
    st.html(tables.changes(seen.worse, names, name="got worse"))
else:
    st.caption("Nothing got worse that is not held by an episode already.")

st.subheader("Got better", anchor="better")
if seen.better:
    st.html(tables.changes(seen.better, names, name="got better"))
else:
    st.caption("Nothing got better that is not held by an episode already.")

st.subheader("Could not be decided", anchor="undecided")
if seen.undecided:
    st.html(tables.undecided(seen.undecided, names, chosen))
else:
    st.caption("Every comparison could be decided." if night.judgements else "Nothing was judged.")

lost = [own for own in night.trials if own.state != "valid" and not own.replaced]
repeated = [own for own in night.trials if own.state != "valid" and own.replaced]
st.subheader("Failed", anchor="failed")
if lost:
    st.html(tables.trials(lost, names, name="failed"))
if night.unmeasured:
    st.html(tables.unmeasured(night.unmeasured))
if not lost and not night.unmeasured:
    st.caption("Every planned cell was measured, and every launch ended with a valid attempt.")

with st.expander(f"Known: {counted(len(seen.known), 'comparison')} of open episodes"):
    if seen.known:
        st.html(tables.changes(seen.known, names, name="known"))
    else:
        st.caption("No episode from an earlier night holds anything here.")
with st.expander(f"Repeated: {counted(len(repeated), 'attempt')} replaced by a later valid one"):
    if repeated:
        st.html(tables.trials(repeated, names, name="repeated"))
    else:
        st.caption("Every launch was valid at once.")
with st.expander(sentences.unchanged_line(seen.unchanged)):
    if seen.unchanged:
        st.html(tables.changes(seen.unchanged, names, name="no change"))
    else:
        st.caption("No comparison ended with this verdict.")
with st.expander(f"All {len(night.trials)} trials"):
    st.html(tables.trials(night.trials, names, name="all trials"))
with st.expander("How to read this"):
    st.markdown(sentences.HOW_TO_READ)
