"""Repair misspelt words against the story's vocabulary, and never a correct word."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from rapidfuzz import process
from rapidfuzz.distance import OSA

from bot.answering.text import STOP_WORDS, fold_accents, names, stem

MIN_LENGTH = 4  # a slip in three letters makes another word
SHORTEST_SWAP = 3  # two letters swapped are mostly an abbreviation
# Share of letters kept. One slip in four or five letters leaves .75 or .80, two in eight leave .75: what people do.
STORY_CUTOFF = 0.75
# A word of general English is taken only at one slip in six letters or more: it competes with unknown names.
ENGLISH_CUTOFF = 0.83

# Closed-class words as they are typed on a phone; close to many other words, they are known or repaired by none.
TYPED = {
    "wen": "when", "whn": "when", "wat": "what", "wht": "what", "wut": "what", "wats": "what's", "wher": "where",
    "whr": "where", "hav": "have", "abt": "about", "cuz": "because", "coz": "because", "becuz": "because",
    "ppl": "people", "mny": "many", "evry": "every", "bck": "back", "frm": "from", "theyre": "they're",
    "theyve": "they've", "youre": "you're", "weve": "we've",
    **{f"{verb}nt": f"{verb}n't" for verb in (
        "do does did is are was were has have had ca wo would could should must need ai".split()
    )},
}  # fmt: skip

_WORD = re.compile(r"[^\W\d_]+(?:['’](?!s\b)[^\W\d_]+)?", re.IGNORECASE)  # a possessive ending stands apart

# "hwo" may be who or how; before a word of degree it is how.
_HOW_OF_DEGREE = re.compile(
    r"\b(?:hwo|ohw)(?= (?:many|much|long|far|old|often|big|large|soon|early|late|come)\b)", re.IGNORECASE
)


class Speller:
    """Knows correct words from the story, its aliases and the encoder's own vocabulary of whole words."""

    def __init__(self, texts: Sequence[str], vocabulary: Mapping[str, int]) -> None:
        found = {fold_accents(word) for text in texts for word in _WORD.findall(text.lower())}
        self._names = {name for text in texts for name in names(text)}
        self._story = sorted(word for word in found if len(word) >= MIN_LENGTH and "'" not in word)
        english = [word for word in vocabulary if word.isalpha() and word.isascii() and len(word) >= MIN_LENGTH]
        self._known = found | set(english) | STOP_WORDS | {word for word in vocabulary if word.isalpha()}
        self._known_stems = {stem(word) for word in self._known}
        self._english = sorted(english, key=lambda word: vocabulary[word])

    def is_known(self, word: str) -> bool:
        """Whether a word (lower case) is spelt right, as far as anybody here can tell."""
        return word in self._known or stem(word) in self._known_stems

    def repair(self, text: str) -> str:
        """The text with its misspelt words replaced; case and everything else stay."""
        return _WORD.sub(lambda match: self._repaired(match.group()), _HOW_OF_DEGREE.sub("how", text))

    def _repaired(self, word: str) -> str:
        low = fold_accents(word.lower())
        if "'" in low or "’" in low:
            return word
        found = TYPED.get(low) if low not in self._names else None
        if not found and self.is_known(low):
            return word
        found = found or _swapped(low)
        if not found and len(low) >= MIN_LENGTH:
            found = self._closest(low, self._story, STORY_CUTOFF) or self._closest(low, self._english, ENGLISH_CUTOFF)
        if not found:
            return word
        return found.capitalize() if word[0].isupper() else found

    @staticmethod
    def _closest(word: str, choices: list[str], cutoff: float) -> str | None:
        """The closest choice with the same first letter, or with the first two swapped; the first of equals."""
        starts = (word[0], word[1])
        same = [choice for choice in choices if choice[0] in starts and abs(len(choice) - len(word)) <= 2]
        match = process.extractOne(word, same, scorer=OSA.normalized_similarity, processor=None, score_cutoff=cutoff)
        return match[0] if match and (match[0][0] == word[0] or match[0][1] == word[0]) else None


def _swapped(word: str) -> str | None:
    """The one closed-class word that an unknown word is with two neighbouring letters swapped: "waht", "wehn"."""
    if len(word) < SHORTEST_SWAP:
        return None
    swaps = {word[:i] + word[i + 1] + word[i] + word[i + 2 :] for i in range(len(word) - 1)}
    found = swaps & STOP_WORDS
    return found.pop() if len(found) == 1 else None
