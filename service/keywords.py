"""What a message from a handset asks for: the words subscribers are told to answer with, by language."""

from __future__ import annotations

import re
import unicodedata

from core.events import Keyword

_STOP = """
stop stopall stop-all unsubscribe cancel end quit optout opt-out revoke
stopp abmelden arret arrêt désabonner alto baja cancelar parar sair pare
td t 退订 退訂 停止 berhenti रोकें
"""
# The first line is what the FCC names (47 CFR 64.1200(a)(10)) and CTIA's messaging principles ask for.
_START = "start unstop optin opt-in subscribe abonnieren alta"
_HELP = "help info hilfe aide ayuda ajuda 帮助"

_WORDS: dict[str, Keyword] = {
    **dict.fromkeys(_STOP.split(), "stop"),
    **dict.fromkeys(_START.split(), "start"),
    **dict.fromkeys(_HELP.split(), "help"),
}
_PHRASES = {"opt out": "optout", "opt in": "optin", "stop all": "stopall"}
_EDGES = re.compile(r"^[\W_]+|[\W_]+$")


def keyword_of(text: str) -> Keyword:
    """The word that a message consists of; a sentence is "other", whatever words are in it.

    STOP alone is believed at the start of a longer message too: the mistake on that side bothers nobody.
    """
    words = [_EDGES.sub("", word) for word in unicodedata.normalize("NFKC", text).casefold().split()]
    words = [word for word in words if word]
    phrase = " ".join(words)
    found = _WORDS.get(_PHRASES.get(phrase, phrase))
    if found is not None:
        return found
    return "stop" if words[:1] == ["stop"] else "other"
