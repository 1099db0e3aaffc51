"""Rooms and arrows: story knows nothing of answering, answering nothing of surfaces, and no third-party leaks."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

BOT = Path(__file__).resolve().parents[1] / "bot"
ALLOWED = {
    "story": {"bot.story", "bot.errors"},
    "answering": {"bot.answering", "bot.story", "bot.errors"},
    "surfaces": {"bot.surfaces", "bot.answering", "bot.story", "bot.errors", "bot.settings"},
}
IMPURE = {"discord", "aiohttp", "asyncio", "time", "datetime", "random", "os", "logging", "sqlite3"}


def imported(path: Path) -> set[str]:
    """Modules that a file imports, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


@pytest.mark.parametrize("room", sorted(ALLOWED))
def test_arrows_run_one_way(room: str) -> None:
    """A room imports only what lies below it."""
    for path in (BOT / room).rglob("*.py"):
        for module in imported(path):
            if module.split(".")[0] == "bot":
                assert any(module == name or module.startswith(f"{name}.") for name in ALLOWED[room]), (path, module)


def test_the_answering_room_is_pure() -> None:
    """No Discord, no clock, no chance; the cache of encodings alone knows the environment."""
    for path in (BOT / "answering").rglob("*.py"):
        impure = {module.split(".")[0] for module in imported(path)} & IMPURE
        assert impure <= ({"os"} if path.name == "cache.py" else set()), path


def test_there_is_no_cycle() -> None:
    """Modules of the package can be put in an order in which each imports only earlier ones."""
    graph = {}
    for path in BOT.rglob("*.py"):
        name = ".".join(path.relative_to(BOT.parent).with_suffix("").parts).removesuffix(".__init__")
        guarded = "if TYPE_CHECKING" in path.read_text("utf-8")
        graph[name] = set() if guarded else {m for m in imported(path) if m.startswith("bot.")}
    done: set[str] = set()
    while len(done) < len(graph):
        free = {name for name, needs in graph.items() if name not in done and not (needs & graph.keys()) - done}
        assert free, set(graph) - done
        done |= free
