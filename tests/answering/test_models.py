"""The model files and the cache of encodings: missing, damaged, shared, read-only."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from bot.answering.cache import encode_all
from bot.answering.candidates import Signals
from bot.answering.encoder import CONTEXT_TOKENS, MODELS, WINDOW_TOKENS, in_eight_bits, windows_of
from bot.answering.gate import Gate, Shape
from bot.answering.matcher import Models
from bot.answering.reader import Reading, ReadPassage
from bot.answering.session import unpacked
from bot.errors import ModelError
from tests.conftest import SEED, WHEN_CONFIRMED

FILES = (
    "encoder.onnx", "encoder.int4.npz", "reader.onnx", "reader.int4.npz", "tokenizer.json", "gate.json",
)  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the models."""
    return Path(shutil.copytree(MODELS, tmp_path / "models"))


@pytest.mark.parametrize("name", FILES)
def test_a_missing_model_file_is_one_sentence(folder: Path, name: str) -> None:
    """It names the file and what to do."""
    (folder / name).unlink()
    with pytest.raises(ModelError, match=name) as told:
        Models.load(folder)
    assert "install the package again" in str(told.value)


@pytest.mark.parametrize("name", FILES)
def test_a_damaged_model_file_is_one_sentence(folder: Path, name: str) -> None:
    """Half a file is as good as none."""
    path = folder / name
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ModelError, match=name):
        Models.load(folder)


def test_encodings_are_kept_and_damaged_ones_made_anew(models: Models, tmp_path: Path) -> None:
    """The cache gives what encoding gives; a damaged file is written again."""
    texts = ["The bridge opened on May 3.", "", "Nine were hurt."]
    fresh = encode_all(models.encoder, texts, texts, texts[:1], tmp_path)
    (file,) = tmp_path.iterdir()
    kept = file.read_bytes()
    file.write_bytes(kept[:100])
    for folder in (tmp_path, None):
        again = encode_all(models.encoder, texts, texts, texts[:1], folder)
        for one, other in zip(fresh, again, strict=True):
            assert np.array_equal(one.ids, other.ids)
            assert np.array_equal(one.tokens, other.tokens)
            assert np.array_equal(one.states, other.states)
    (file,) = tmp_path.iterdir()
    assert len(file.read_bytes()) == len(kept)


def test_texts_are_encoded_together_as_each_alone(models: Models) -> None:
    """What a text is does not depend on what it is encoded with; without states where it is only ranked."""
    texts = [f"{name} opened the bridge." for name in ("Ann", "Bob", "Eve", "Kim", "Tom")] + ["Nine were hurt."] * 2
    together = encode_all(models.encoder, [], texts, texts[:2], None)
    for text, one in zip(texts, together, strict=False):
        alone = models.encoder.encode(text)
        assert np.allclose(one.tokens, alone.tokens, atol=1e-3)
        assert np.allclose(one.mean, alone.mean, atol=1e-5)
        assert np.array_equal(one.states, alone.states)
    assert [len(one.states) for one in together[len(texts) :]] == [0, 0]


def test_a_passage_is_encoded_among_those_around_it(models: Models) -> None:
    """Who "she" is stands in the paragraph before: other words there, another encoding, of the same tokens."""
    line = "She resigned on Monday."
    alone = models.encoder.encode(line)
    found = [
        encode_all(models.encoder, [before, line], [], [], None)[1]
        for before in ("Ann Bell led the council.", "Eve Cole ran the bank.")
    ]
    for one in found:
        assert np.array_equal(one.ids, alone.ids)
        assert one.states.shape == alone.states.shape
        assert not np.allclose(one.read_states(), alone.read_states(), atol=0.1)
    assert not np.allclose(found[0].read_states(), found[1].read_states(), atol=0.1)
    (single,) = encode_all(models.encoder, [line], [], [], None)
    assert np.array_equal(single.states, alone.states)
    assert np.allclose(single.mean, alone.mean, atol=1e-5)


@pytest.mark.parametrize("sizes", [[], [2], [160] * 9, [40] * 30, [3, 160, 3, 160, 90, 5, 150, 160, 12], [97] * 12])
def test_every_passage_stands_in_one_window(sizes: list[int]) -> None:
    """No window is longer than it may be, and what precedes stands before it where it is short enough."""
    passages = [tuple(range(1000 * i, 1000 * i + size)) for i, size in enumerate(sizes)]
    windows = windows_of(passages)
    assert [passage for window in windows for passage in window.passages[window.context :]] == passages
    for window in windows:
        assert len(window.ids) <= WINDOW_TOKENS
        for (first, last), passage in zip(window.bounds, window.passages[window.context :], strict=True):
            assert window.ids[first + 1 : last] == passage[1:]
        assert sum(len(passage) - 1 for passage in window.passages[: window.context]) <= CONTEXT_TOKENS
    if sizes == [40] * 30:
        assert [window.context for window in windows] == [0, 2, 2, 2]


def test_four_bits_become_eight() -> None:
    """A number counts by its block's step, of its column, in 256ths; the halves of a byte are rows far apart."""
    numbers = np.full((128, 2), 8 + 16 * 8, np.uint8)  # all nothing
    numbers[0] = 15 + 16 * 0  # seven in row 0, minus eight in row 128
    matrix = unpacked(numbers, np.array([[256, 512], [1000, -2016]], np.int16))
    assert matrix.shape == (256, 2)
    assert matrix[0].tolist() == [7, 14]
    assert matrix[128].tolist() == [-31, 63]
    assert np.count_nonzero(matrix) == 4


LINES = ("It opened on 3 May 1987.", "The bridge was paid for by the city of Lund, the mayor said.", "")
ASKED = ("What was the opening date of the bridge?", "Who paid for the bridge?")


Reads = Callable[[str, Sequence[str], Sequence[str]], tuple[list[Reading], list[float]]]


@pytest.fixture
def read(models: Models) -> Reads:
    """A message read with some lines and questions."""

    def read(message: str, lines: Sequence[str], asked: Sequence[str]) -> tuple[list[Reading], list[float]]:
        encode = models.encoder.encode
        passages = [ReadPassage(encode(line), models.encoder.offsets(line)) for line in lines]
        return models.reader.read(encode(message), passages, [encode(question) for question in asked])

    return read


@pytest.mark.parametrize(
    ("message", "right", "words", "same"),
    [
        ("When did the bridge open?", 0, "3 May 1987", 0),
        ("And who was it that paid for that new bridge, do you happen to know?", 1, "the city of Lund", 1),
    ],
)
def test_a_message_is_read_with_lines_and_questions(
    read: Reads, message: str, right: int, words: str, same: int
) -> None:
    """Messages of any length; what stands beside a line or a question changes nothing about it."""
    readings, found = read(message, LINES, ASKED)
    assert [reading.answers > 0.5 for reading in readings] == [i == right for i in range(len(LINES))]
    assert [probability > 0.5 for probability in found] == [i == same for i in range(len(ASKED))]
    best = readings[right].spans[0]
    assert LINES[right][best.start : best.end] == words
    alone = [read(message, [line], [])[0][0] for line in LINES]
    # Eight bits a token: what a run adds up in another order may round to the next number.
    assert [r.answers for r in readings] == pytest.approx([r.answers for r in alone], abs=5e-3)
    assert [r.mass for r in readings] == pytest.approx([r.mass for r in alone], abs=0.1)
    assert [(r.spans[0].start, r.spans[0].end) for r in readings] == [(r.spans[0].start, r.spans[0].end) for r in alone]
    assert found == pytest.approx([read(message, [], [question])[1][0] for question in ASKED], abs=5e-3)


def test_a_line_puts_a_wrong_premise_right(read: Reads) -> None:
    """It contradicts, and marks what is so."""
    (reading,), _ = read("Did the bridge open on 9 June 1987?", LINES[:1], [])
    assert reading.contradicts > 0.5 > reading.answers
    assert "3 May" in LINES[0][reading.spans[0].start : reading.spans[0].end]


def test_without_anything_nothing_is_read(read: Reads) -> None:
    """As where all facts that come close were given before."""
    assert read("When did the bridge open?", [], []) == ([], [])


def test_states_in_eight_bits_are_off_by_half_a_step() -> None:
    """Each token has a step of its own; nothing stays nothing."""
    states = np.array([[2.54, -1.27, 0.013], [0.0, 0.0, 0.0], [-0.004, 0.001, 0.0]], np.float32)
    numbers, steps = in_eight_bits(states)
    assert numbers[0].tolist() == [127, -64, 1]
    assert numbers[1].tolist() == [0, 0, 0]
    assert np.all(np.abs(numbers * steps - states) <= steps / 2 + 1e-7)


def test_files_that_nobody_uses_any_more_go(models: Models, tmp_path: Path) -> None:
    """A new file takes with it what nobody has read for a month; what is read stays."""
    for text in ("used", "unused"):
        encode_all(models.encoder, [], [text], [], tmp_path)
    month = 31 * 86400
    for path in tmp_path.iterdir():
        os.utime(path, (path.stat().st_atime - month, path.stat().st_mtime - month))
    encode_all(models.encoder, [], ["used"], [], tmp_path)
    encode_all(models.encoder, [], ["new"], [], tmp_path)
    assert len(list(tmp_path.iterdir())) == 2


def test_two_processes_may_write_at_once(tmp_path: Path) -> None:
    """Both answer, and one whole file is left."""
    command = [sys.executable, "-m", "bot", "ask", "--story", str(SEED), "When did North Korea confirm the deployment?"]
    environment = {"SOURCELINE_CACHE": str(tmp_path / "cache"), "PATH": "/usr/bin:/bin"}
    both = [
        subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, cwd=SEED.parents[1], text=True)
        for _ in range(2)
    ]
    assert [process.communicate(timeout=120)[0].split("\n")[0] for process in both] == [WHEN_CONFIRMED] * 2
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_the_gate_has_three_outcomes() -> None:
    """Thresholds on a probability that grows with the signals."""
    gate = Gate(
        {"question": 2.0}, {"reads": Shape((-1.0, 1.0), (-3.0, 0.0, 3.0))}, 0.0, answer=0.7, following=0.6, offer=0.4
    )
    told = [gate.probability(Signals(reads=reads)) for reads in (-5.0, 0.0, 5.0)]
    assert told == sorted(told)
    assert [gate.outcome(probability) for probability in told] == ["refuse", "offer", "answer"]
    assert [gate.outcome(probability, follows=True) for probability in (0.39, 0.59, 0.61)] == [
        "refuse",
        "offer",
        "answer",
    ]
    assert gate.probability(Signals(reads=1e9)) <= 1
    assert gate.preference(Signals(question=0.9, reads=-5.0)) > gate.preference(Signals(question=0.8, reads=5.0))
