"""Where stories lie: a folder of articles, each with its fact table beside it or drafted in memory."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

from bot.errors import StoryError, TableError, UsageError
from bot.story.article import ARTICLE_SUFFIXES, Article, read_article
from bot.story.draft import draft_facts, draft_table
from bot.story.lint import Fault, lint
from bot.story.table import FactTable, read_document, table_of

PACKAGED_SEEDS = Path(__file__).resolve().parent.parent / "seeds"  # in an installed wheel
CHECKOUT_SEEDS = Path(__file__).resolve().parents[2] / "seeds"  # in a checkout


@dataclass(frozen=True)
class Story:
    """An article with its fact table; `drafted` where every row is as the builder drafts it."""

    name: str
    article: Article
    table: FactTable
    drafted: bool

    @property
    def title(self) -> str:
        """The story's title."""
        return self.table.title


def seeds_folder() -> Path:
    """The stories that come with the product: the checkout's folder, else the one inside the wheel."""
    return CHECKOUT_SEEDS if CHECKOUT_SEEDS.is_dir() else PACKAGED_SEEDS


def check_table(table_path: Path) -> tuple[Article | None, list[Fault]]:
    """Every fault of a table file, and its article where that could be read."""
    file = table_path.name
    try:
        document = read_document(table_path)
    except tomllib.TOMLDecodeError as error:
        return None, [Fault(file, "file", f"is not valid TOML ({error}): mend that place first.")]
    except (OSError, UnicodeDecodeError) as error:
        return None, [Fault(file, "file", f"cannot be read ({error}): save it as UTF-8 text.")]
    story = document.get("story")
    name = story.get("article") if isinstance(story, dict) else None
    if not isinstance(name, str) or not name or Path(name).name != name:
        return None, [Fault(file, "story", "article must be the name of a file in the same folder.")]
    try:
        article = read_article(table_path.parent / name)
    except StoryError as error:
        return None, [Fault(file, "story", f"the article cannot be used: {error}")]
    return article, lint(file, document, article)


def load_story(path: Path) -> Story:
    """The story of an article or of a fact table; an article without a table beside it is drafted in memory.

    Raises StoryError for an unreadable article and TableError, with every fault, for a table that breaks its rules.
    """
    table_path = path.with_suffix(".toml")
    if not table_path.is_file():
        article = read_article(path)
        return Story(path.stem, article, draft_table(article, path.name), drafted=True)
    checked, faults = check_table(table_path)
    if faults or checked is None:
        raise TableError(faults)
    table = table_of(read_document(table_path))
    return Story(path.stem, checked, table, drafted=set(table.facts) <= set(draft_facts(checked)))


def story_paths(folder: Path) -> list[Path]:
    """The articles of a library folder, by name; a table without its article counts, so that its fault is told."""
    found: dict[str, Path] = {}
    for path in sorted(folder.glob("*")):
        if path.suffix in (*ARTICLE_SUFFIXES, ".toml") and (path.stem not in found or path.suffix != ".toml"):
            found[path.stem] = path
    return [found[stem] for stem in sorted(found)]


def find_story(name: str | None, folder: Path) -> Path:
    """The path of a story named on the command line: a path, a name in the library, or (None) its first story."""
    paths = story_paths(folder) if folder.is_dir() else []
    if name is None:
        if not paths:
            raise UsageError(f"There is no story in {folder}: put an article there or name one with --story.")
        return paths[0]
    by_name = next((path for path in paths if path.stem == name), None)
    if by_name:
        return by_name
    path = Path(name)
    if path.is_file() and path.suffix.lower() in (*ARTICLE_SUFFIXES, ".toml"):
        return path
    known = ", ".join(path.stem for path in paths) or "none"
    raise UsageError(f"There is no story {name!r}: give a path to a .txt or .html article or one of: {known}.")
