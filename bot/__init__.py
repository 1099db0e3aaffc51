"""Sourceline: answers readers' questions about a news story, with the line that says so."""
