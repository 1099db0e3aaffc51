"""A loopback Discord for one bot: REST and gateway on one port; every REST call lands in `calls`.

It keeps Discord's own rules where the bot leans on them: message content is blank without the intent, an interaction
is acknowledged once, a session is resumed with the events that were missed.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import yarl
from aiohttp import web

TOKEN = "token.of.the-test"
BOT = {"id": "1000", "username": "sourceline", "discriminator": "0", "avatar": None, "bot": True}
ANN = {"id": "2000", "username": "ann", "discriminator": "0", "avatar": None}
BOB = {"id": "2001", "username": "bob", "discriminator": "0", "avatar": None}
APP = {
    "id": "1000", "name": "Sourceline", "description": "", "icon": None, "bot_public": True, "flags": 0,
    "bot_require_code_grant": False, "owner": ANN, "verify_key": "", "interactions_endpoint_url": None,
}  # fmt: skip
GUILD, CHANNEL, QUIET, THREAD, DM = "7000", "7100", "7200", "7300", "3000"
ROLE = "7800"  # which Discord makes for the bot
CATEGORY = "7900"
IN_THREADS = 1 << 38
MAY_SPEAK = 1024 + 2048 + 65536  # view the channel, send messages, read the history
MESSAGE_CONTENT = 1 << 15
EPHEMERAL, SUPPRESS_EMBEDS = 64, 4
ENTRY_POINT = 4


@dataclass(frozen=True)
class Call:
    """A REST call that the bot made; `at` is the server's monotonic time."""

    method: str
    path: str
    body: Any
    authorization: str | None
    at: float = 0.0

    @property
    def flags(self) -> int:
        """The flags of a message that the call sends."""
        data = (self.body or {}).get("data") or self.body or {}
        return int(data.get("flags") or 0)


@dataclass
class Fault:
    """An answer to give instead of the true one, so many times, to calls that it fits."""

    method: str
    ending: str
    status: int
    body: dict[str, Any]
    headers: dict[str, str] = field(default_factory=dict)
    times: int = 1

    def fits(self, method: str, path: str) -> bool:
        """Whether a call meets this fault; one that does is counted."""
        if self.times < 1 or method != self.method or not path.endswith(self.ending):
            return False
        self.times -= 1
        return True


class FakeDiscord:
    """Start it, point discord.py at `api` and `gateway`, push events, and take the calls in their order."""

    def __init__(self) -> None:
        self.calls: asyncio.Queue[Call] = asyncio.Queue()
        self.log: deque[Call] = deque(maxlen=1000)
        self.unknown: list[str] = []
        self.ready = asyncio.Event()
        self.resumed = asyncio.Event()
        self.identify: dict[str, Any] = {}
        self.identifies: list[dict[str, Any]] = []
        self.resumes: list[dict[str, Any]] = []
        self.commands: list[dict[str, Any]] = []
        self.guilds: list[dict[str, Any]] = []
        self.messages: dict[str, dict[str, Any]] = {}
        self.faults: list[Fault] = []
        self.on_call: Callable[[Call], None] | None = None
        self.app: dict[str, Any] = dict(APP)
        self.starts_left, self.shards = 1000, 1
        self.shard = 0
        self.heartbeat_ms = 41250
        self.acknowledges = True
        self.refuse_identify: int | None = None
        self._ids, self._sequence = itertools.count(5000), itertools.count(1)
        self._backlog: deque[tuple[int, str]] = deque(maxlen=500)
        self._acknowledged: set[str] = set()
        self._open: set[str] = set()
        self._sockets: dict[int, web.WebSocketResponse] = {}
        self._held: asyncio.Event | None = None

    async def start(self) -> None:
        app = web.Application()
        app.router.add_route("*", "/{rest:.*}", self._route)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        host = f"127.0.0.1:{self._runner.addresses[0][1]}"
        self.api, self.gateway = f"http://{host}/api/v10", yarl.URL(f"ws://{host}/")

    async def stop(self) -> None:
        await self._runner.cleanup()

    async def call(self, *, ending: str = "", method: str = "") -> Call:
        """The next call whose path ends so, within ten seconds; others before it are passed over."""
        while True:
            call = await asyncio.wait_for(self.calls.get(), 10)
            if call.path.endswith(ending) and method in ("", call.method):
                return call

    def fail(
        self, method: str, ending: str, status: int, code: int = 0, *, times: int = 1, retry_after: float | None = None
    ) -> None:
        """Answer the next fitting calls with an error of Discord's; a 429 without a time is not Discord's own."""
        body: dict[str, Any] = {"message": "a fault", "code": code}
        headers: dict[str, str] = {}
        if retry_after is not None:
            body = {"message": "You are being rate limited.", "retry_after": retry_after, "global": False}
            headers = {"Via": "1.1 google", "Retry-After": str(retry_after)}
        self.faults.append(Fault(method, ending, status, body, headers, times))

    def hold(self) -> asyncio.Event:
        """Hold back the answers to messages sent to channels until the event is set."""
        self._held = asyncio.Event()
        return self._held

    async def drop(self, code: int = 4000, shard: int = 0) -> None:
        """Close the gateway's socket from the server's side."""
        self.resumed.clear()
        await self._sockets[shard].close(code=code)

    async def send(self, payload: dict[str, Any], shard: int = 0) -> None:
        """Send a gateway payload that is no event."""
        await self._sockets[shard].send_str(json.dumps(payload))

    async def push(self, event: str, data: dict[str, Any], shard: int | None = None) -> None:
        """Dispatch an event to a shard, by default to `self.shard`; a closed socket gets it when it resumes."""
        number = next(self._sequence)
        text = json.dumps({"op": 0, "t": event, "s": number, "d": data})
        self._backlog.append((number, text))
        socket = self._sockets.get(self.shard if shard is None else shard)
        if socket is not None and not socket.closed:
            await socket.send_str(text)

    async def dm(self, text: str, author: dict[str, Any] = ANN, **extra: Any) -> dict[str, Any]:
        message = self.message(text, author, **extra)
        await self.push("MESSAGE_CREATE", message)
        return message

    def guild(self, number: str = GUILD, *, permissions: int = MAY_SPEAK) -> dict[str, Any]:
        """A server with a channel where the bot may speak, and one where it may not."""
        everyone = {
            "id": number, "name": "@everyone", "permissions": str(permissions), "position": 0, "color": 0,
            "hoist": False, "managed": False, "mentionable": False,
        }  # fmt: skip
        own = {**everyone, "id": ROLE, "name": BOT["username"], "managed": True, "tags": {"bot_id": BOT["id"]}}
        silent = [{"id": number, "type": 0, "allow": "0", "deny": str(2048)}]
        channels = [
            {"id": CATEGORY, "type": 4, "name": "daily", "position": 0, "permission_overwrites": []},
            {
                "id": CHANNEL,
                "type": 0,
                "name": "news",
                "position": 0,
                "permission_overwrites": [],
                "parent_id": CATEGORY,
            },
            {"id": QUIET, "type": 0, "name": "rules", "position": 1, "permission_overwrites": silent},
        ]
        me = {"user": BOT, "roles": [], "joined_at": "2026-01-01T00:00:00+00:00", "deaf": False, "mute": False}
        return {
            "id": number, "name": "Readers", "owner_id": BOB["id"], "member_count": 2, "channels": channels,
            "roles": [everyone, own], "members": [{**me, "flags": 0}], "emojis": [], "features": [],
        }  # fmt: skip

    async def enter_guild(self, *, permissions: int = MAY_SPEAK) -> None:
        await self.push("GUILD_CREATE", self.guild(permissions=permissions))

    async def guild_message(self, text: str, author: dict[str, Any] = ANN, **extra: Any) -> dict[str, Any]:
        member = {"roles": [], "joined_at": "2026-01-01T00:00:00+00:00", "deaf": False, "mute": False, "flags": 0}
        mentioned = f"<@{BOT['id']}>" in text or bool(extra.get("mentions"))
        if not mentioned and not self.identify["intents"] & MESSAGE_CONTENT:
            text = ""
        mentions = [{**BOT, "member": member}] if mentioned else []
        body = self.message(text, author, channel_id=CHANNEL, mentions=mentions, guild_id=GUILD, member=member)
        body |= extra
        await self.push("MESSAGE_CREATE", body)
        return body

    async def reply(self, to: dict[str, Any], text: str, author: dict[str, Any] = ANN, *, ping: bool = True) -> None:
        """A reply in the server's channel to a message."""
        reference = {"message_id": to["id"], "channel_id": CHANNEL, "guild_id": GUILD}
        extra: dict[str, Any] = {"type": 19, "message_reference": reference, "referenced_message": to}
        if ping:
            extra["mentions"] = [dict(BOT)]
        await self.guild_message(text, author, **extra)

    async def edit(self, message: dict[str, Any], text: str) -> None:
        await self.push("MESSAGE_UPDATE", {**message, "content": text, "edited_timestamp": "2026-11-01T00:00:30+00:00"})

    async def delete(self, message: dict[str, Any]) -> None:
        place: dict[str, Any] = {key: message[key] for key in ("id", "channel_id", "guild_id") if key in message}
        await self.push("MESSAGE_DELETE", place)

    async def interact(self, kind: int, data: dict[str, Any], *, known: bool = True, **extra: Any) -> str:
        """An interaction; one that is not `known` has expired at Discord's side."""
        number = str(next(self._ids))
        if known:
            self._open.add(number)
        await self.push("INTERACTION_CREATE", {
            "id": number, "token": f"t{number}", "application_id": APP["id"], "version": 1, "type": kind, "data": data,
            "user": ANN, "channel_id": DM, "attachment_size_limit": 10485760, "locale": "en-US", "context": 1,
            "channel": {"id": DM, "type": 1, "recipients": [ANN]}, "entitlements": [],
            "authorizing_integration_owners": {}, **extra,
        })  # fmt: skip
        return number

    async def slash(self, name: str, *, within: dict[str, Any] | None = None, **options: Any) -> str:
        return await self.interact(
            2, {"id": "9", "name": name, "type": 1, "options": _options(options)}, **within or {}
        )

    async def setup(self, name: str, *, author: dict[str, Any] = ANN, channel: str = "", **options: Any) -> str:
        """A subcommand of /setup in the server, on a channel where one is named."""
        nested = _options(options)
        resolved: dict[str, Any] = {}
        if channel:
            nested.append({"name": "channel", "type": 7, "value": channel})
            resolved = {"channels": {channel: {"id": channel, "type": 0, "name": "news", "permissions": "0"}}}
        data = {"id": "9", "name": "setup", "type": 1, "options": [{"name": name, "type": 1, "options": nested}]}
        return await self.interact(2, {**data, "resolved": resolved}, **in_server(author))

    async def autocomplete(self, name: str, option: str, typed: str, *, within: dict[str, Any] | None = None) -> None:
        focused = [{"name": option, "type": 3, "value": typed, "focused": True}]
        await self.interact(4, {"id": "9", "name": name, "type": 1, "options": focused}, **within or {})

    async def press(
        self, custom_id: str, components: list[Any], *, on: str = "", within: dict[str, Any] | None = None
    ) -> str:
        """A press of a button on the message of that number, or on one of an earlier process."""
        message = self.message("earlier", BOT, components=components)
        if on:
            message["id"] = on
        data = {"custom_id": custom_id, "component_type": 2}
        return await self.interact(3, data, message=message, **within or {})

    def message(self, text: str | None, author: dict[str, Any] = BOT, **extra: Any) -> dict[str, Any]:
        return {
            "id": str(next(self._ids)), "channel_id": DM, "type": 0, "content": text or "", "author": author,
            "attachments": [], "embeds": [], "mentions": [], "mention_roles": [], "mention_everyone": False,
            "tts": False, "pinned": False, "timestamp": "2026-11-01T00:00:00+00:00", "edited_timestamp": None, **extra,
        }  # fmt: skip

    async def _route(self, request: web.Request) -> web.StreamResponse:
        if "Sec-WebSocket-Key" in request.headers:
            return await self._gateway(request)
        path = request.path.removeprefix("/api/v10")
        body: Any = await request.json() if request.can_read_body else None
        authorization = request.headers.get("Authorization")
        call = Call(request.method, path, body, authorization, time.monotonic())
        self.log.append(call)
        if self.on_call is not None:
            self.on_call(call)
        else:
            await self.calls.put(call)
        if authorization not in (None, f"Bot {TOKEN}"):
            return _json({"message": "401: Unauthorized", "code": 0}, 401)
        fault = next((fault for fault in self.faults if fault.fits(request.method, path)), None)
        if fault is not None:
            return _json(fault.body, fault.status, fault.headers)
        if self._held is not None and path.endswith("/messages"):
            await self._held.wait()
        return self._answer(request.method, path, body)

    def _answer(self, method: str, path: str, body: Any) -> web.Response:
        match [method, *path.strip("/").split("/")]:
            case ["GET", "users", "@me"]:
                return _json(BOT)
            case ["GET", "oauth2", "applications", "@me"]:
                return _json(self.app)
            case ["GET", "gateway", *_]:
                limit = {"total": 1000, "remaining": self.starts_left, "reset_after": 3_600_000, "max_concurrency": 1}
                return _json({"url": str(self.gateway), "shards": self.shards, "session_start_limit": limit})
            case ["GET", "applications", _, "commands"]:
                return _json(self.commands)
            case ["PUT", "applications", app, "commands"]:
                sent = {command.get("id") for command in body}
                if any(command["type"] == ENTRY_POINT and command["id"] not in sent for command in self.commands):
                    return _json({"message": "You cannot remove this app's Entry Point command", "code": 50240}, 400)
                self.commands = [_kept({"id": str(next(self._ids)), **c, "application_id": app}) for c in body]
                return _json(self.commands)
            case ["POST", "interactions", number, _, "callback"]:
                return self._callback(number, body)
            case ["POST", "channels", channel, "messages"] | ["POST", "webhooks", channel, _]:
                return _json(self._sent(body, channel_id=channel if "channels" in path else CHANNEL))
            case ["PATCH", "webhooks", _, _, "messages", _] | ["PATCH", "channels", _, "messages", _]:
                return _json(self._sent(body))
            case ["DELETE", "channels", _, "messages", _]:
                return web.Response(status=204)
        self.unknown.append(f"{method} {path}")
        return _json({"message": "404: Not Found", "code": 0}, 404)

    def _sent(self, body: Any, **extra: Any) -> dict[str, Any]:
        sent = self.message(body.get("content"), components=body.get("components") or [], **extra)
        self.messages[sent["id"]] = sent
        while len(self.messages) > 200:
            del self.messages[next(iter(self.messages))]
        return sent

    def _callback(self, number: str, body: Any) -> web.Response:
        if number not in self._open:
            return _json({"message": "Unknown interaction", "code": 10062}, 404)
        if number in self._acknowledged:
            return _json({"message": "Interaction has already been acknowledged.", "code": 40060}, 400)
        self._acknowledged.add(number)
        reply: dict[str, Any] = {"interaction": {"id": number, "type": 2}}
        if body["type"] in (4, 5, 7):
            sent = self._sent(body.get("data") or {})
            reply["interaction"]["response_message_id"] = sent["id"]
            reply["resource"] = {"type": body["type"], "message": sent}
        return _json(reply)

    async def _gateway(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_str(json.dumps({"op": 10, "d": {"heartbeat_interval": self.heartbeat_ms}}))
        async for frame in socket:
            got = json.loads(frame.data)
            if got["op"] == 1 and self.acknowledges:
                await socket.send_str('{"op": 11}')
            elif got["op"] == 2:
                await self._identified(socket, got["d"])
            elif got["op"] == 6:
                await self._resumed(socket, got["d"])
        return socket

    async def _identified(self, socket: web.WebSocketResponse, told: dict[str, Any]) -> None:
        self.identify = told
        self.identifies.append(told)
        if self.refuse_identify is not None:
            await socket.close(code=self.refuse_identify)
            return
        shard = told.get("shard", [0, 1])
        self._sockets[shard[0]] = socket
        await self.push("READY", {
            "v": 10, "user": BOT, "guilds": [{"id": g["id"], "unavailable": True} for g in self.guilds],
            "session_id": f"s{len(self.identifies)}", "resume_gateway_url": str(self.gateway),
            "application": {"id": APP["id"], "flags": 0}, "shard": shard,
        }, shard[0])  # fmt: skip
        for guild in self.guilds:
            await self.push("GUILD_CREATE", guild, shard[0])
        self.ready.set()

    async def _resumed(self, socket: web.WebSocketResponse, told: dict[str, Any]) -> None:
        self.resumes.append(told)
        self._sockets[0] = socket
        for number, text in list(self._backlog):
            if number > told["seq"]:
                await socket.send_str(text)
        await self.push("RESUMED", {})
        self.resumed.set()


def in_server(author: dict[str, Any] = ANN, *, channel: str = CHANNEL, installed: bool = True) -> dict[str, Any]:
    """An interaction's context in a server: one where the bot is, or (user install) where only the reader has it."""
    member = {
        "user": author, "roles": [], "joined_at": "2026-01-01T00:00:00+00:00", "permissions": "0", "deaf": False,
        "mute": False, "flags": 0,
    }  # fmt: skip
    return {
        "guild_id": GUILD, "user": None, "member": member, "context": 0, "channel_id": channel,
        "channel": {"id": channel, "type": 0, "name": "news", "guild_id": GUILD, "position": 0, "permissions": "0"},
        "guild": {"id": GUILD, "locale": "en-US", "features": []}, "app_permissions": str(MAY_SPEAK),
        "authorizing_integration_owners": {"0": GUILD} if installed else {"1": author["id"]},
    }  # fmt: skip


def in_group(author: dict[str, Any] = ANN) -> dict[str, Any]:
    """An interaction's context in a group chat of people, with the app installed on the reader's account."""
    return {
        "user": author, "context": 2, "channel_id": "3500", "authorizing_integration_owners": {"1": author["id"]},
        "channel": {"id": "3500", "type": 3, "recipients": [BOB], "owner_id": author["id"], "name": None, "icon": None},
    }  # fmt: skip


def in_thread(author: dict[str, Any] = ANN) -> dict[str, Any]:
    """An interaction's context in a thread of a server where only the reader has the app: its channel is not known."""
    within = in_server(author, channel=THREAD, installed=False)
    return {**within, "channel": thread(author)}


def thread(author: dict[str, Any] = ANN) -> dict[str, Any]:
    """A thread in the channel where the bot may speak."""
    return {
        "id": THREAD, "type": 11, "name": "a thread", "guild_id": GUILD, "parent_id": CHANNEL, "owner_id": author["id"],
        "member_count": 1, "message_count": 1, "rate_limit_per_user": 0, "permissions": "0",
        "thread_metadata": {
            "archived": False, "auto_archive_duration": 60, "archive_timestamp": "2026-11-01T00:00:00+00:00",
        },
    }  # fmt: skip


def in_pair(author: dict[str, Any] = ANN) -> dict[str, Any]:
    """An interaction's context in the direct messages of two people, one of whom has the app on the account."""
    return {
        "user": author, "context": 2, "channel_id": "3600", "channel": {"id": "3600", "type": 1, "recipients": [BOB]},
        "authorizing_integration_owners": {"1": author["id"]},
    }  # fmt: skip


def _kept(command: dict[str, Any]) -> dict[str, Any]:
    """A command as Discord gives it back: what is false or empty left out of options, and fields of its own added."""
    permissions = command.get("default_member_permissions")
    return {
        "description": "", **command, "version": "1", "name_localizations": None, "description_localizations": None,
        "default_member_permissions": None if permissions is None else str(permissions),
        "options": [_kept_option(option) for option in command.get("options") or []],
    }  # fmt: skip


def _kept_option(option: dict[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in option.items() if value not in (False, None, [])}
    kept["choices"] = [{**choice, "name_localizations": None} for choice in option.get("choices") or []]
    kept["options"] = [_kept_option(nested) for nested in option.get("options") or []]
    return {key: value for key, value in kept.items() if value != []} | {"name_localizations": None}


def _options(values: dict[str, Any]) -> list[dict[str, Any]]:
    kinds = {str: 3, int: 4, bool: 5}
    return [{"name": name, "type": kinds[type(value)], "value": value} for name, value in values.items()]


def _json(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(
        body=json.dumps(value).encode(), content_type="application/json", status=status, headers=headers
    )
