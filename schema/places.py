"""Where in a file something is wrong, and what, in the forms in which it travels."""

from typing import Any, TypeAlias

from pydantic_core import InitErrorDetails, PydanticCustomError

Place: TypeAlias = tuple[str | int, ...]
"""("families", 0, "model"): keys and positions from the top."""
Mistake: TypeAlias = tuple[Place, str]


def raisable(mistake: Mistake) -> InitErrorDetails:
    """As pydantic raises it."""
    place, what = mistake
    told = PydanticCustomError("value_error", "{what}", {"what": what})
    return InitErrorDetails(type=told, loc=place, input=None)


def again(detail: Any, place: Place) -> InitErrorDetails:
    """A mistake that pydantic reported, to be raised once more, with others and at this place."""
    context = detail.get("ctx", {})
    return InitErrorDetails(type=detail["type"], loc=place, input=detail["input"], ctx=context)
