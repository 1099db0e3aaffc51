"""The command line as processes: what a person or a program sees."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import SEED, WHEN_CONFIRMED

ROOT = SEED.parents[1]


def run(
    *arguments: str, stdin: str | bytes = "", cache: Path, folder: Path | None = None, **extra: str
) -> subprocess.CompletedProcess[str]:
    """`python -m bot` with these arguments, in an environment without anybody's settings."""
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "LANG", "HOME")}
    environment = {**kept, "PYTHONPATH": str(ROOT), "SOURCELINE_CACHE": str(cache), "PYTHONWARNINGS": "error", **extra}
    raw = subprocess.run(
        [sys.executable, "-m", "bot", *arguments],
        input=stdin if isinstance(stdin, bytes) else stdin.encode(),
        capture_output=True,
        env=environment,
        cwd=folder or ROOT,
        check=False,
        timeout=120,
    )
    return subprocess.CompletedProcess(raw.args, raw.returncode, raw.stdout.decode(), raw.stderr.decode())


def test_ask_prints_the_answer_and_its_line(cache_folder: Path) -> None:
    """The first question of the README."""
    done = run("ask", "When did North Korea confirm the deployment?", cache=cache_folder)
    assert (done.returncode, done.stderr) == (0, "")
    first, quote, line = done.stdout.splitlines()
    assert first == WHEN_CONFIRMED
    assert quote.startswith("> North Korea on April 28 officially confirmed")
    assert line == "— line 3, north-korea-troops"


def test_ask_json_is_one_object_a_line(cache_folder: Path) -> None:
    """One reply for every line of input, also for blank and broken ones."""
    stdin = b"When did North Korea confirm the deployment?\n\nhi\n\xff\xfe\n"
    done = run("ask", "--json", "--story", str(SEED), stdin=stdin, cache=cache_folder)
    replies = [json.loads(line) for line in done.stdout.splitlines()]
    assert [reply["kind"] for reply in replies] == ["answer", "smalltalk", "smalltalk", "smalltalk"]
    assert replies[0]["source"]["line"] == 3


@pytest.mark.parametrize("form", [(), ("--json",)], ids=["text", "JSON"])
def test_a_message_that_is_no_text_is_answered(cache_folder: Path, form: tuple[str, ...]) -> None:
    """Half a character on the command line, as a shell hands it over."""
    done = run("ask", *form, "hello \udcff", cache=cache_folder, PYTHONIOENCODING="utf-8:strict")
    assert (done.returncode, done.stderr) == (0, "")
    shown = json.loads(done.stdout)["text"] if form else done.stdout
    assert shown.startswith("Hello!")


def test_a_line_that_is_no_text_costs_the_chat_no_other(cache_folder: Path) -> None:
    """What comes before and behind it in a pipe is answered, and so is the line itself."""
    done = run("chat", stdin=b"hello\nhi \xff\nbye\n", cache=cache_folder, PYTHONIOENCODING="utf-8:strict")
    assert (done.returncode, done.stderr) == (0, "")
    assert [part.split("!")[0] for part in done.stdout.split("\n") if "!" in part] == ["Hello", "Hello", "Goodbye"]


def test_ask_explain_shows_what_decided(cache_folder: Path) -> None:
    """Candidates, their signals and the rule."""
    done = run("ask", "--explain", "When did North Korea confirm the deployment?", cache=cache_folder)
    assert "decided     answer:" in done.stdout
    assert "question " in done.stdout
    assert "reads " in done.stdout


def test_follow_takes_the_lines_as_one_conversation(cache_folder: Path) -> None:
    """With --follow a remark repeats the answer; without, it stands alone."""
    stdin = "When did North Korea confirm the deployment?\nare you sure?\n"
    followed = run("ask", "--json", "--follow", stdin=stdin, cache=cache_folder).stdout.splitlines()
    assert json.loads(followed[1])["answer"] == WHEN_CONFIRMED
    apart = run("ask", "--json", stdin=stdin, cache=cache_folder).stdout.splitlines()
    assert json.loads(apart[1])["kind"] != "answer"


def test_no_command_without_a_token_is_the_console_chat(cache_folder: Path) -> None:
    """It says so, answers, and leaves quietly at the end of input."""
    done = run(stdin="When did North Korea confirm the deployment?\n", cache=cache_folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert "DISCORD_TOKEN is not set: this is the console chat." in done.stdout
    assert f"\n{WHEN_CONFIRMED}\n> North Korea on April 28" in done.stdout
    assert "\x1b" not in done.stdout


def test_ask_and_chat_do_not_import_discord() -> None:
    """The console starts without the Discord library."""
    code = "import sys, bot.cli; sys.exit('discord' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False, timeout=60).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("ask", "--story", "no-such-story", "x"), "no-such-story"),
        (("ask", "--story", "/nowhere/x.txt", "x"), "/nowhere/x.txt"),
        (("eval", "/nowhere/rows.jsonl"), "/nowhere/rows.jsonl"),
        (("build", "/nowhere/x.txt"), "/nowhere/x.txt"),
        (("run",), "DISCORD_TOKEN"),
    ],
)
def test_wrong_use_is_one_sentence_and_status_2(cache_folder: Path, arguments: tuple[str, ...], told: str) -> None:
    """What is wrong and what to do, on standard error, without a traceback."""
    done = run(*arguments, cache=cache_folder)
    assert done.returncode == 2
    assert done.stdout == ""
    assert told in done.stderr
    assert done.stderr.count("\n") == 1


def test_check_names_ten_faults(cache_folder: Path, tmp_path: Path) -> None:
    """All of a table's faults at once, each with file, row and rule; exit status 1."""
    shutil.copy(SEED, tmp_path / "bad.txt")
    good = (
        SEED.with_suffix(".toml").read_text("utf-8").split("[[fact]]")[0].replace("north-korea-troops.txt", "bad.txt")
    )
    row = (
        'id = "{id}"\nasks = "{asks}"\nanswer = "{answer}"\nline = {line}\nquote = "{quote}"\nquestions = {questions}\n'
    )
    ok = {"asks": "when", "answer": "April 28", "line": 3, "quote": "North Korea on April 28", "questions": '["{id}?"]'}
    rows: list[dict[str, object]] = [
        {"id": "a", "quote": "never said so"},
        {"id": "b", "answer": "April 29"},
        {"id": "c", "line": 900},
        {"id": "d", "asks": "whence"},
        {"id": "e", "questions": "[]"},
        {"id": "f", "answer": ""},
        {"id": "g", "answer": "Angela Merkel"},
        {"id": "h"},
        {"id": "h", "questions": '["again?"]'},
        {"id": "i", "questions": '["h?"]'},
        {"id": "j", "line": 4},
    ]
    text = good
    for changes in rows:
        values = {**ok, **changes}
        values["questions"] = str(values["questions"]).replace("{id}", str(values["id"]))
        text += "\n[[fact]]\n" + row.format(**values)
    (tmp_path / "bad.toml").write_text(text, "utf-8")
    done = run("check", str(tmp_path / "bad.txt"), cache=cache_folder)
    assert done.returncode == 1
    assert done.stderr == ""
    *faults, count = done.stdout.splitlines()
    assert int(count.split()[0]) == len(faults) >= 10
    for name in "abcdefghij":
        assert any(f"fact {name}" in fault for fault in faults), name


def test_check_of_the_library_finds_no_fault(cache_folder: Path) -> None:
    """The shipped table is clean."""
    done = run("check", cache=cache_folder)
    assert done.returncode == 0
    assert "no fault" in done.stdout


def test_build_drafts_a_table_that_checks(cache_folder: Path, tmp_path: Path) -> None:
    """A new article, its drafted table, no fault; a second build changes nothing."""
    shutil.copy(SEED, tmp_path / "new.txt")
    done = run("build", str(tmp_path / "new.txt"), cache=cache_folder)
    assert done.returncode == 0
    table = tmp_path / "new.toml"
    before = table.read_bytes()
    assert run("check", str(tmp_path / "new.txt"), cache=cache_folder).returncode == 0
    assert run("build", str(tmp_path / "new.txt"), cache=cache_folder).returncode == 0
    assert table.read_bytes() == before


def test_a_read_only_cache_is_done_without(tmp_path: Path) -> None:
    """A cache that cannot be written costs time, nothing else."""
    blocked = tmp_path / "file"
    blocked.write_text("not a folder", "utf-8")
    done = run("ask", "When did North Korea confirm the deployment?", cache=blocked / "cache")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("April 28")


def test_a_reader_of_the_output_that_leaves_is_no_error(cache_folder: Path) -> None:
    """A closed pipe ends the program quietly."""
    command = f"yes 'who is Putin' | head -2000 | {sys.executable} -m bot ask | head -1"
    environment = {**os.environ, "SOURCELINE_CACHE": str(cache_folder)}
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, env=environment, cwd=ROOT, check=False, timeout=120
    )
    assert done.stderr == b""
