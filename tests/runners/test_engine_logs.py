"""What is kept of an engine's log."""

from pathlib import Path

from runners.server import READ_BACK_BYTES, last_lines

ANSWERED = '(APIServer pid=48) INFO:     127.0.0.1:59702 - "POST /v1/completions HTTP/1.1" 200 OK\n'
SCRAPED = '[2026-11-23 05:30:48] INFO:     127.0.0.1:55420 - "GET /metrics HTTP/1.1" 200 OK\n'
REFUSED = '(APIServer pid=48) INFO:     127.0.0.1:59 - "POST /v1/completions HTTP/1.1" 400 Bad\n'
COMPILED = "WARNING [jit_monitor.py:125] Triton kernel JIT compilation during inference: moe.\n"


def test_requests_that_went_well_do_not_push_out_what_an_engine_says(tmp_path: Path) -> None:
    log = tmp_path / "engine.log"
    log.write_text(COMPILED + 500 * ANSWERED + REFUSED + 500 * SCRAPED)
    assert last_lines(log, 200) == COMPILED + REFUSED.removesuffix("\n")


def test_only_the_last_lines_are_kept(tmp_path: Path) -> None:
    log = tmp_path / "engine.log"
    log.write_text("".join(f"line {at}\n" for at in range(10)))
    assert last_lines(log, 3) == "line 7\nline 8\nline 9"


def test_of_a_huge_log_only_the_end_is_read(tmp_path: Path) -> None:
    log = tmp_path / "engine.log"
    with log.open("wb") as opened:
        opened.seek(READ_BACK_BYTES * 3)
        opened.write(b"the \xff end\n")
    assert last_lines(log, 5).endswith("the � end")
    assert len(last_lines(log, 5)) < 100


def test_there_may_be_no_log_yet(tmp_path: Path) -> None:
    assert last_lines(tmp_path / "none.log", 5) == ""
