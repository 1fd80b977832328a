"""MoE: a sparse model beside a dense one, and models over more cards, on one kind of GPU."""

from collections.abc import Sequence

import streamlit as st

from dashboard import expert_queries, experts, frames, markup, moe, moe_tables, queries
from dashboard.address import choice
from dashboard.charts.experts import heat_map
from dashboard.charts.machine import memory_parts, memory_stack
from dashboard.charts.moe import batch_curves, tails
from dashboard.levels import Level, load_words, model_words
from dashboard.parallel import contrasts
from schema.cells import Engine, Gpu
from schema.memory import CARD_BYTES


def show_splits(levels: Sequence[Level]) -> None:
    """What more cards gain, where one model was measured over several numbers of them."""
    for own in contrasts(levels):
        under, over = own.words
        model = own.over[0].cell.family
        st.subheader(f"{over} against {under}: {model.model.short_name} {model.precision}")
        if min(len(moe.batch_curve(side)) for side in (own.over, own.under)) > 1:
            curves = batch_curves({over: own.over, under: own.under})
            st.plotly_chart(curves, key=f"batch {own.over[0].cell.family.key}")
        with st.expander("Every load"):
            st.html(moe_tables.contrast(own))
        st.caption(
            f"Medians over the launches of the latest {queries.LATEST_NIGHTS} nights, by "
            f"{own.over[0].build}, \N{PLUS-MINUS SIGN} their coefficient of variation. p is exact "
            "and not corrected for the number of rows; no verdict is made of it."
        )


def chosen_experts(place: str, gpu: Gpu, engine: Engine) -> None:
    """The heat map, where a launch returned its experts, and who would not."""
    found, refused = expert_queries.chosen(gpu, engine), expert_queries.refused(gpu, engine)
    if found or refused:
        st.subheader("Which experts are chosen")
    for said in refused:
        st.html(markup.facts({"refused": said}))
    if not found:
        return
    own = {one.trial: one for one in found}
    names = {key: one.name for key, one in own.items()}
    one = own[choice("Build and model", names, f"{place}-experts")]
    st.plotly_chart(heat_map(one.selections), key="experts")
    st.markdown(experts.sentence(one))
    st.caption(experts.ABOUT)


measured = [own.family for own in queries.cells() if own.family.model.is_moe]
order = list(Gpu)
measured.sort(key=lambda own: (-order.index(own.gpu), own.engine != "vllm", own.engine))
places = {f"{own.gpu}-{own.engine}": own for own in measured}
if not places:
    st.info(moe.NO_PAIR)
    st.stop()

left, right = st.columns([1, 3])
with left:
    names = {key: f"{own.gpu}, {own.engine}" for key, own in places.items()}
    place = choice("GPU and engine", names, "place")
levels = queries.levels(places[place].gpu, places[place].engine)
pairs = {pair.key: pair for pair in moe.pairs(levels)}
if not pairs:
    st.info(moe.NO_PAIR)
    show_splits(levels)
    chosen_experts(place, places[place].gpu, places[place].engine)
    st.stop()
with right:
    named = {key: own.name for key, own in pairs.items()}
    pair = pairs[choice("Sparse beside dense", named, f"{place}-pair")]

sides = {"sparse": pair.sparse, "dense": pair.dense}
legend = {side: model_words(own[0].cell) for side, own in sides.items()}
sentence, below = moe.headline(pair)
st.html(markup.headline(sentence, tone="no change", below=below))

st.subheader("What a larger batch gains")
curves = batch_curves({legend[side]: own for side, own in sides.items()})
st.plotly_chart(curves, key="batch")
st.caption(
    "Closed loops: so many requests are always in flight. A point is the median over launches; the "
    "wide stretch is where a doubling of the batch gains least throughput."
)
st.subheader("Sparse beside dense")
st.html(moe_tables.loads(pair))
st.caption(
    f"Medians over the launches of the latest {queries.LATEST_NIGHTS} nights, by {pair.build}. "
    "*Experts read* is the expected number of experts of a layer that the requests in flight "
    "choose together, were all chosen evenly: E (1 - (1 - k/E)^b)."
)

st.subheader("The tail over nights")
loads = {own.cell.workload.name: (own, other) for own, other in pair.loads}
words = {name: load_words(own.cell.workload) for name, (own, _) in loads.items()}
load = loads[choice("Load", words, "load", default=list(loads)[-1])]
values = {
    side: queries.series(own.cell.key, "tail_ratio_itl")
    for side, own in zip(sides, load, strict=True)
}
points = frames.tails(values, legend)
if points.empty:
    st.caption("No trial has enough gaps between tokens for a 99th percentile.")
else:
    event = st.plotly_chart(tails(points), on_select="rerun", selection_mode="points", key="tails")
    if event["selection"]["points"]:
        trial = event["selection"]["points"][0]["customdata"][0]
        st.switch_page("views/trial.py", query_params={"trial": trial})
    st.caption(
        "A point is a valid trial of any build that is no variant; a click opens it. 1 would "
        "be an answer without any slow gap: a mixture of experts can move its tail while the "
        "median stays."
    )

st.subheader("Where the memory went")
together = (pair.sparse, pair.dense)
card = CARD_BYTES.get(places[place].gpu)
bars = {model_words(own[0].cell): memory_parts(moe.memory(own), card) for own in together}
if any(bars.values()):
    st.plotly_chart(memory_stack(bars), key="memory")
st.html(moe_tables.memory(together))
st.caption(
    "Every expert is held whether or not it is chosen. Engines fill what is left of a card with KV "
    "cache, so the peak tells their settings before it tells the model."
)

show_splits(levels)
chosen_experts(place, places[place].gpu, places[place].engine)
