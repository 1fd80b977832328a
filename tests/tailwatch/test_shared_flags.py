"""Which flags the launches of a build had in common."""

from tailwatch.measurements.flags import flags, shared_flags

SGLANG = (
    "/opt/python3 -m sglang.launch_server --model-path /models/{model} --port {port} "
    "--dtype bfloat16 --disable-radix-cache --attention-backend triton --tp-size {cards}"
)


def _command(model: str, port: int, cards: int) -> tuple[str, ...]:
    return tuple(SGLANG.format(model=model, port=port, cards=cards).split())


def test_a_flag_stands_with_its_value_and_the_address_is_left_out() -> None:
    assert flags(_command("a", 1, 2)) == [
        "--dtype bfloat16",
        "--disable-radix-cache",
        "--attention-backend triton",
        "--tp-size 2",
    ]


def test_a_build_tells_what_all_its_launches_had_and_one_that_never_started_nothing() -> None:
    lines = list(
        shared_flags({"sglang 0.5.17": [_command("a", 1, 1), _command("b", 2, 2)], "vllm 9": [()]})
    )
    assert [line for line in lines if line.startswith("- ")] == [
        "- sglang 0.5.17, 2 engine starts: "
        "`--dtype bfloat16 --disable-radix-cache --attention-backend triton`"
    ]
