"""A story's vocabulary: what readers call its names, how its words are spelt, and which words it knows at all."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from bot.answering.spelling import Speller
from bot.answering.text import content_words, names, stem, stems, words
from bot.story.table import Fact, FactTable, Gap


def _pattern(alias: str, held: str) -> re.Pattern[str]:
    """The alias as whole words, where it does not go on to a longer name of the story: "the North" to "Korean"."""
    last = re.escape(alias.split()[-1])
    longer = sorted({word.lower() for word in re.findall(rf"(?<!\w)(?i:{last})\s+([A-Z]\w*)", held)})
    ahead = rf"(?!\s+(?:{'|'.join(map(re.escape, longer))})(?!\w))" if longer else ""
    return re.compile(rf"(?<!\w){re.escape(alias)}(?!\w){ahead}", re.IGNORECASE)


def _alias_patterns(names: Mapping[str, Sequence[str]], held: str) -> list[tuple[re.Pattern[str], str]]:
    """Readers' names for things, longest first; a word that the story itself uses is left as it is."""
    pairs = [(_pattern(alias, held), name, len(alias)) for name, others in names.items() for alias in others]
    pairs.sort(key=lambda pair: -pair[2])
    return [(pattern, name) for pattern, name, _ in pairs if not pattern.search(held)]


class Vocabulary:
    """The words of an article and its table; `english` are the encoder's word pieces with their ids."""

    def __init__(self, texts: Sequence[str], table: FactTable, english: Mapping[str, int]) -> None:
        aliases = [alias for others in table.names.values() for alias in others]
        rows: tuple[Fact | Gap, ...] = (*table.facts, *table.gaps)
        questions = [question for row in rows for question in row.questions]
        self._aliases = _alias_patterns(table.names, "\n".join(texts))
        self._speller = Speller([*texts, *aliases, *questions], english)
        # What only a known gap's questions name is what the story does not hold.
        told = [question for fact in table.facts for question in fact.questions]
        self._names = frozenset(name for text in texts for name in names(text))
        self._stems = stems([*texts, *aliases, *told, table.title])

    def normalised(self, message: str) -> str:
        """The message with its spelling repaired and the readers' names for things replaced by the story's."""
        for pattern, name in self._aliases:
            message = pattern.sub(name.replace("\\", r"\\"), message)
        return self._speller.repair(message)

    def names_in(self, message: str) -> frozenset[str]:
        """The words of a message (lower case) that are names in the story."""
        return self._names.intersection(words(message))

    def unknown_share(self, message: str) -> float:
        """Share of the content words that the story holds in no form; 0 for a message without content words."""
        content = content_words(message)
        return sum(stem(word) not in self._stems for word in content) / len(content) if content else 0.0
