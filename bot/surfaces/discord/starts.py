"""Not too many starts: a bot that crashes and is restarted for ever would use up the day's identifies."""

from __future__ import annotations

import json
import logging
from pathlib import Path

log = logging.getLogger(__name__)

# Discord allows 1,000 identifies in 24 hours and resets the token beyond them. Four crashes are free; then the pauses
# double to half an hour: under 60 starts a day, for up to sixteen shards in one process.
WINDOW_S = 24 * 3600.0
FREE_STARTS, FIRST_PAUSE_S, LONGEST_PAUSE_S = 4, 5.0, 1800.0
IDENTIFY_WINDOW_S = 6 * 3600.0
CALM_S = 600.0  # a start that lasted so long was no crash
RESERVE = 20  # identifies left for reconnects and for a person who repairs things


class Starts:
    """The starts that did not end well, kept in a file: the time of each, and the pause that it made first."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def begin(self, now: float) -> float:
        """Note a start; the seconds to wait before it connects, longer with every one that crashed lately."""
        earlier = [(time, pause) for time, pause in self._read() if 0 <= now - time < WINDOW_S]
        crashes, following = 0, now
        for time, pause in reversed(earlier):
            if following - time - pause > CALM_S:
                break
            crashes, following = crashes + 1, time
        doubled = FIRST_PAUSE_S * 2.0 ** min(crashes - FREE_STARTS, 20)
        pause = 0.0 if crashes < FREE_STARTS else min(LONGEST_PAUSE_S, doubled)
        self._write([*earlier, (now, pause)][-200:])
        return pause

    def ended_well(self) -> None:
        """The bot was told to stop: this start and those before it are no crash-loop."""
        self._write([])

    def _read(self) -> list[tuple[float, float]]:
        try:
            found = json.loads(self._path.read_text("utf-8"))
            return sorted((float(time), float(pause)) for time, pause in found)
        except (OSError, ValueError, TypeError):
            return []

    def _write(self, starts: list[tuple[float, float]]) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            fresh = self._path.with_name(self._path.name + ".new")
            fresh.write_text(json.dumps(starts), "utf-8")
            fresh.replace(self._path)
        except OSError as error:
            log.warning("the times of starts cannot be kept (%s): Discord's own count still holds", error.strerror)


class Identifies:
    """The identifies of one process: sessions that Discord calls invalid again and again are begun less and less."""

    def __init__(self) -> None:
        self._times: dict[int, list[float]] = {}

    def wait(self, shard: int, now: float) -> float:
        """The seconds until a shard may identify again."""
        times = [t for t in self._times.get(shard, []) if now - t < IDENTIFY_WINDOW_S]
        self._times[shard] = times
        if not times:
            return 0.0
        pause = FIRST_PAUSE_S * 2.0 ** max(0, len(times) - FREE_STARTS)
        return max(0.0, times[-1] + min(pause, LONGEST_PAUSE_S) - now)

    def sent(self, shard: int, now: float) -> None:
        """A shard identifies now."""
        self._times[shard] = [*self._times.get(shard, []), now][-50:]


def pause_for_limit(remaining: int, reset_after_ms: int, shards: int) -> float:
    """The seconds to wait where Discord says that too few identifies are left."""
    return reset_after_ms / 1000 + 1 if remaining < shards + RESERVE else 0.0
