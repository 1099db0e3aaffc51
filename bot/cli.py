"""The command line: what `python -m bot` and `sourceline` do."""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from bot.answering.cache import default_cache_folder
from bot.answering.conversation import Turn
from bot.answering.matcher import Models
from bot.answering.responder import Exchange, Responder, build_responder
from bot.errors import SourcelineError, TableError, UsageError
from bot.settings import Settings
from bot.story.build import build
from bot.story.library import check_table, find_story, load_story, seeds_folder
from bot.surfaces import console
from bot.surfaces.explain import explanation
from bot.surfaces.plain import json_object, plain_text

DONE, FAILED, WRONG_USE = 0, 1, 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="sourceline", description="Answers questions about a news story.")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    story_help = "a name in the library, or a path to an article (.txt, .html)"

    commands.add_parser("run", help="run on Discord (needs DISCORD_TOKEN or DISCORD_TOKEN_FILE)")
    chat = commands.add_parser("chat", help="ask at the console, without Discord")
    chat.add_argument("--story", help=story_help)
    commands.add_parser("doctor", help="check token, flags, intents, tables, model, cache and clock")

    ask = commands.add_parser("ask", help="one message, or one a line from standard input")
    ask.add_argument("message", nargs="?", help="the message; without it, lines of standard input")
    ask.add_argument("--story", help=story_help)
    ask.add_argument("--json", action="store_true", help="one JSON object a line")
    ask.add_argument("--follow", action="store_true", help="take the lines as one conversation")
    ask.add_argument("--explain", action="store_true", help="show candidates, signals and the rule that decided")

    make = commands.add_parser("build", help="draft a fact table, or bring one up to date")
    make.add_argument("article", type=Path, help="the article (.txt, .html)")
    make.add_argument("-o", "--output", type=Path, help="the table (by default beside the article)")

    check = commands.add_parser("check", help="lint fact tables")
    check.add_argument("story", nargs="?", help="a name in the library or a path; without it, the whole library")

    evaluate = commands.add_parser("eval", help="batch test: messages with expected answers")
    evaluate.add_argument("questions", type=Path, nargs="*", help="JSON Lines of messages (see README)")
    evaluate.add_argument("--stories", type=Path, help="a folder: every NAME.jsonl is asked of NAME.txt, pooled")
    evaluate.add_argument("--story", help=story_help)
    evaluate.add_argument(
        "--floor", action="append", default=[], metavar="FIGURE=SHARE", help="fail below, e.g. right=.9"
    )
    evaluate.add_argument("--plot", type=Path, help="write the risk-coverage curve as an image (needs matplotlib)")
    evaluate.add_argument("--json", action="store_true", help="the figures as one JSON object")
    return parser


def _responder(name: str | None, folder: Path) -> Responder:
    story = load_story(find_story(name, folder))
    return build_responder(story, Models.load(cache=default_cache_folder()))


def _lines(stream: Iterable[bytes]) -> Iterable[str]:
    for raw in stream:
        yield raw.decode("utf-8", "replace").rstrip("\r\n")


def _show(exchange: Exchange, as_json: bool, explain: bool) -> None:
    if as_json:
        document = json_object(exchange.message, exchange.reply)
        if explain:
            document["explanation"] = explanation(exchange)
        print(json.dumps(document, ensure_ascii=False), flush=True)
        return
    print(plain_text(exchange.reply), flush=True)
    if explain:
        print(f"\n{explanation(exchange)}", flush=True)


def _ask(options: argparse.Namespace, folder: Path) -> int:
    responder = _responder(options.story, folder)
    if options.message is not None:
        _show(responder.respond(options.message), options.json, options.explain)
        return DONE
    previous: Turn | None = None
    for message in _lines(sys.stdin.buffer):
        exchange = responder.respond(message, previous if options.follow else None)
        previous = exchange.turn
        _show(exchange, options.json, options.explain)
        if not options.json:
            print()
    return DONE


def _build(options: argparse.Namespace) -> int:
    report = build(options.article, options.output)
    print(f"{report.path}: {len(report.added)} rows drafted, {len(report.moved)} moved to their new line.")
    for row in report.lost:
        print(f"{report.path}: fact {row}: its quote is no longer in the article: mend or remove the row.")
    for gap in report.uncertain:
        print(f"{report.path}: gap {gap}: the article changed: look whether its line is still the closest one.")
    return FAILED if report.lost else DONE


def _check(options: argparse.Namespace, folder: Path) -> int:
    named = [find_story(options.story, folder)] if options.story else sorted(folder.glob("*.toml"))
    tables = [path.with_suffix(".toml") for path in named]
    if not tables or not all(table.is_file() for table in tables):
        raise UsageError("There is no fact table to check: name a story, or run `build` on its article first.")
    faults = [fault for table in tables for fault in check_table(table)[1]]
    for fault in faults:
        print(fault)
    if faults:
        print(f"{len(faults)} {'fault' if len(faults) == 1 else 'faults'}.")
        return FAILED
    for path in tables:
        story = load_story(path)
        print(f"{path.name}: {len(story.table.facts)} facts, {len(story.table.gaps)} gaps, no fault.")
    return DONE


def _chat(name: str | None, folder: Path) -> int:
    return console.chat(_responder(name, folder))


def _run(settings: Settings) -> int:
    from bot.surfaces.discord.run import main as run_main  # discord.py takes half a second to import

    return run_main(settings)


def _doctor(settings: Settings) -> int:
    from bot.surfaces.discord.doctor import main as doctor_main

    return doctor_main(settings)


def _evaluate(options: argparse.Namespace, folder: Path) -> int:
    from bot.evaluation import Batch, run_evaluation

    if bool(options.questions) == bool(options.stories) or (options.stories and options.story):
        raise UsageError("eval needs either sets of messages (and --story), or --stories with a folder of both.")
    batches: Iterable[Batch]
    if options.stories:
        sets = sorted(options.stories.glob("*.jsonl"))
        if not sets:
            raise UsageError(f"{options.stories} holds no NAME.jsonl: put the messages beside each article.")
        models = Models.load(cache=default_cache_folder())
        batches = (
            (build_responder(load_story(find_story(str(s.with_suffix(".txt")), folder)), models), [s]) for s in sets
        )
    else:
        batches = [(_responder(options.story, folder), options.questions)]
    return run_evaluation(batches, floors=options.floor, plot=options.plot, as_json=options.json)


def _dispatch(options: argparse.Namespace) -> int:
    settings = Settings.from_env(os.environ)
    folder = settings.stories or seeds_folder()
    match options.command:
        case "ask":
            return _ask(options, folder)
        case "build":
            return _build(options)
        case "check":
            return _check(options, folder)
        case "chat":
            return _chat(options.story, folder)
        case "eval":
            return _evaluate(options, folder)
        case "doctor":
            return _doctor(settings)
        case "run":
            return _run(settings)
    if settings.token:
        return _run(settings)
    print("DISCORD_TOKEN is not set: this is the console chat. Set it to run on Discord.")
    return _chat(None, folder)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit status. Every expected failure is told in a sentence on standard error."""
    options = _parser().parse_args(arguments)
    for stream in (sys.stdin, sys.stdout):  # half a character, typed or piped, is no reason to end
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        return _dispatch(options)
    except KeyboardInterrupt:
        return DONE
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nobody reads on: no second error at exit
        return DONE
    except SourcelineError as error:
        if options.debug:
            raise
        print(error, file=sys.stderr)
        return FAILED if isinstance(error, TableError) else WRONG_USE
