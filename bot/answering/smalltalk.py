"""Messages that ask nothing of the story: greetings, thanks, help, who are you."""

from __future__ import annotations

import re

from bot.answering.reply import SmalltalkIntent
from bot.answering.text import words

# What may stand around a phrase of smalltalk without making it a question about the story.
_FILLERS = frozenset(
    "there bot sourceline everyone everybody all guys again so much very a lot for your you the that this it is "
    "are was were please pls just ok okay oh ah well then now me i im am mate man dude bro buddy friend lol haha "
    "great good nice cool awesome perfect amazing helpful answer answers answering quick fast really thats youre "
    "today and to can with my some sir and hi hey hello thanks bye know wanted want say appreciate help info "
    "information or an ai human person real robot later helped helps did do job work useful anyway anyways then big "
    "pretty".split()
)
_PATTERNS: tuple[tuple[SmalltalkIntent, str], ...] = (
    (
        "identity",
        r"(?:who|what)(?: exactly)? (?:are|r) (?:you|u)\b|who am i (?:talking|speaking|chatting) (?:to|with)"
        r"|(?:are|r) (?:you|u) (?:a |an )?(?:real |actual )?(?:bot|robot|human|person|ai|machine|real|chatgpt)"
        r"|who (?:made|built|created|runs|wrote|programmed) (?:you|u|this bot)\b|what(?:s| is) (?:your|ur) name"
        r"|(?:am i|is this) (?:talking to |speaking to )?(?:a |an )?(?:bot|robot|human|real person|ai)\b"
        r"|(?:tell me|say something) about yourself|introduce yourself|do you have a name",
    ),
    (
        "help",
        r"(?:what|how) (?:all )?(?:can|do|could|should|may|would) (?:you|u|i|we) (?:actually )?"
        r"(?:do(?: for me)?|ask(?: you)?|use(?: you| this(?: bot| thing)?)?|work|answer|help(?: me)?(?: with)?|know)\b"
        r"(?: about)?|how (?:does|do) (?:this|it|the bot|this bot|you|this thing)(?: thing| bot)? work"
        r"|^(?:i need |can you |could you |please )?help(?: me)?(?: out)?(?: please| pls)?$|^commands?$|^menu$"
        r"|what (?:are|r) (?:you|u|your) (?:for|able to do|commands|features|capabilities)"
        r"|what (?:kind|sort|type)s? of (?:questions|things|stuff) (?:can|do|could|may|should) (?:i|you|u|we) "
        r"(?:ask|answer|know|do)(?: you| u)?|how to use(?: this| you)?(?: bot)?|what is this bot(?: for)?|instructions",
    ),
    (
        "thanks",
        r"\b(?:thanks?|thank (?:you|u)|thx|ty|tysm|thank|ta|cheers|appreciated?|much obliged|grateful|gracias|merci)\b"
        r"|^(?:(?:ok|okay|k|cool|nice|great|got it|i see|understood|makes sense|good (?:bot|job)|well done|lol|(?:ha)+"
        r"|(?:you|u)(?: a?re?)?(?: pretty| so| very| really| quite)? (?:useful|helpful|great|good|awesome|smart))"
        r"\b ?)+$",
    ),
    (
        "farewell",
        r"\b(?:bye|goodbye|good ?night|gn|see (?:you|ya)|cya|(?:gotta|got to|have to) go|gtg|farewell|take care"
        r"|have a (?:good|nice) \w+)\b",
    ),
    (
        "greeting",
        r"\b(?:hi+|hello+|hey+|heya|hiya|yo|sup|howdy|greetings|hola|bonjour|salut|wassup|whats? up|what is up"
        r"|g(?:oo|u)d (?:mor\w+|afternoon|evening|day)|gm|how (?:are|r) (?:you|u)(?: doing)?"
        r"|hows it going|how is it going"
        r"|hope (?:you|u|ur|all)(?: are| re| r)?(?: all)?(?: doing)? (?:well|good|fine|ok)"
        r"|anyone here|you there)\b",
    ),
)  # fmt: skip
_COMPILED = tuple((intent, re.compile(pattern)) for intent, pattern in _PATTERNS)


def smalltalk(message: str) -> SmalltalkIntent | None:
    """The intent of a cleaned message that is smalltalk and nothing else, or None.

    "Hi, what can you do?" asks for help; "thanks, and when was it signed?" is a question.
    """
    plain = " ".join(words(message)).replace("'", "")
    if not plain:
        return "empty"
    left, intent = plain, None
    for name, pattern in _COMPILED:
        if pattern.search(left):
            intent = intent or name
            left = pattern.sub(" ", left)
    if intent is None:
        return None
    return intent if all(word in _FILLERS for word in left.split()) else None
