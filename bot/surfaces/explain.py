"""Why a reply is what it is: the candidates, their signals, and the rule that decided."""

from __future__ import annotations

from bot.answering.asks import asked
from bot.answering.responder import Exchange, Step

_SHOWN = 4


def _step_lines(step: Step) -> list[str]:
    ranking = step.match.ranking
    lines = [
        f"understood  {step.understood}",
        f"asks for    {asked(step.match.message) or 'not told'}",
        f"closest gap {ranking.gap.id if ranking.gap else 'none'} ({ranking.gap_score:.2f})",
    ]
    for candidate, probability in step.probabilities[:_SHOWN]:
        worth = step.gate.worth(candidate.signals)
        signals = "  ".join(f"{name} {getattr(candidate.signals, name):.2f} ({worth[name]:+.2f})" for name in worth)
        lines.append(f"{100 * probability:5.1f}  line {candidate.fact.line:<3} {candidate.fact.id}: {candidate.answer}")
        lines.append(f"       {signals}")
    return [*lines, f"decided     {step.rule}"]


def explanation(exchange: Exchange) -> str:
    """All steps of an exchange as text, the chosen candidate first; each with how sure it would be, were it chosen.

    Behind each signal stands what it adds to the log-odds of being right.
    """
    if exchange.rule:
        return f"decided     {exchange.rule}"
    return "\n".join(line for step in exchange.steps for line in _step_lines(step))
