"""What the bot counts about itself, in Prometheus' text format."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping

from bot.answering.reply import Answer, DidYouMean, NotInStory, OffTopic, Reply, Smalltalk

BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
KINDS: dict[type[Reply], str] = {
    Answer: "answer",
    DidYouMean: "did_you_mean",
    NotInStory: "not_in_story",
    OffTopic: "off_topic",
    Smalltalk: "smalltalk",
}


class Histogram:
    """Counts durations by bucket."""

    def __init__(self) -> None:
        self._counts = [0] * (len(BUCKETS_S) + 1)
        self._sum = 0.0

    def observe(self, seconds: float) -> None:
        """Count one duration."""
        self._counts[bisect_left(BUCKETS_S, seconds)] += 1
        self._sum += seconds

    def lines(self, name: str) -> Iterable[str]:
        """The buckets, cumulative, with sum and count."""
        total = 0
        for bound, count in zip((*map(str, BUCKETS_S), "+Inf"), self._counts, strict=True):
            total += count
            yield f'{name}_bucket{{le="{bound}"}} {total}'
        yield f"{name}_sum {self._sum:.6f}"
        yield f"{name}_count {total}"


class Metrics:
    """Counters of the bot; none holds a reader's words or number."""

    def __init__(self) -> None:
        self.replies: Counter[str] = Counter(dict.fromkeys(KINDS.values(), 0))
        self.failures: Counter[str] = Counter(error=0, undelivered=0, dropped=0)
        self.seconds = Histogram()

    def replied(self, reply: Reply, seconds: float) -> None:
        """Count a reply that was sent, so many seconds after its event."""
        self.replies[KINDS[type(reply)]] += 1
        self.seconds.observe(seconds)

    def text(self, shards: Mapping[int, bool], waiting: int, tables: Mapping[str, str]) -> str:
        """All metrics: `shards` says which are connected, `tables` the digest of every story's table."""
        lines = [*_head("sourceline_replies_total", "counter", "Replies sent, by kind.")]
        lines += [f'sourceline_replies_total{{kind="{kind}"}} {n}' for kind, n in sorted(self.replies.items())]
        lines += _head("sourceline_failures_total", "counter", "Replies not sent: error, undelivered, dropped.")
        lines += [f'sourceline_failures_total{{kind="{kind}"}} {n}' for kind, n in sorted(self.failures.items())]
        lines += _head("sourceline_reply_seconds", "histogram", "From Discord's event to the reply sent.")
        lines += self.seconds.lines("sourceline_reply_seconds")
        lines += _head("sourceline_waiting", "gauge", "Messages and interactions in hand.")
        lines += [f"sourceline_waiting {waiting}"]
        lines += _head("sourceline_shard_connected", "gauge", "Whether a shard is connected to the gateway.")
        lines += [f'sourceline_shard_connected{{shard="{n}"}} {int(up)}' for n, up in sorted(shards.items())]
        lines += _head("sourceline_table_info", "gauge", "The version of a story's fact table.")
        lines += [
            f'sourceline_table_info{{story="{_label(story)}",digest="{digest}"}} 1'
            for story, digest in sorted(tables.items())
        ]
        return "\n".join(lines) + "\n"


def _label(value: str) -> str:
    """A label's value, escaped as the format wants it."""
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _head(name: str, kind: str, told: str) -> list[str]:
    return [f"# HELP {name} {told}", f"# TYPE {name} {kind}"]
