"""Colours that stay apart for colour-blind readers (Okabe & Ito 2008), one meaning each."""

from schema.judgements import Verdict

BLUE = "#0072B2"
VERMILION = "#D55E00"
ORANGE = "#E69F00"
GREEN = "#009E73"
SKY = "#56B4E9"
PURPLE = "#CC79A7"
GREY = "#8A94A0"
PALE = "#E7EAEE"
INK = "#1F2933"

NOT_JUDGED = "not judged"
"""Stands for the verdict of an exploratory comparison."""

VERDICT = {
    Verdict.REGRESSION: VERMILION,
    Verdict.IMPROVEMENT: BLUE,
    Verdict.INCONCLUSIVE: ORANGE,
    Verdict.NO_CHANGE: GREY,
    NOT_JUDGED: INK,
}
SIDES = {"baseline": GREY, "contender": BLUE}
BUILDS = (BLUE, ORANGE, GREEN, PURPLE, SKY, VERMILION, GREY)
"""Assigned to builds in the order in which they first ran."""
