"""The statement turned round: "not" after the verb, or taken away where it is. Confidence in the answer has to fall.

Not safe: only where the class is what the sentence claims (mood, stance, truth) does it move the answer; a negated
complaint about a card is still about cards. English, and only sentences that it is sure of: one auxiliary or copula
and no other negation.
"""

from __future__ import annotations

import random
import re

from hfft import wording

INPUT = "text"
KIND = "direction"
SAFE = False
SEVERITIES = 1
SAYS = "the main verb is negated, or its negation taken away; confidence in the answer has to fall"

MAIN = frozenset(["is", "are", "was", "were", "am", "will", "would", "can", "could", "should"])
VERBS = MAIN | frozenset(["has", "have", "do", "does", "did", "must", "may", "might", "shall", "had", "need"])
# Taking "n't" away from these leaves the verb; the others are irregular.
BARE = {"can't": "can", "cannot": "can", "won't": "will", "shan't": "shall"}
# Negations it does not understand.
OTHERS = frozenset(
    ["no", "never", "none", "nobody", "nothing", "nowhere", "neither", "nor", "without", "hardly", "barely", "ain't"]
)
# Before the verb they open a question or a subordinate clause; right before it they make a noun of it ("a can").
QUESTIONS = frozenset(["who", "which", "what", "where", "why", "how", "whether"])
CLAUSES = QUESTIONS | {"if", "when", "unless", "until", "while", "than", "because", "cause", "since", "though", "but"}
OWNERS = frozenset(["a", "an", "the", "my", "your", "his", "its", "our", "their"])
# After "not" they make less of it ("not just rude"); with "not" gone they need it ("not yet").
HALVES = frozenset(["just", "only", "merely", "simply", "also", "all", "every", "still", "already"])
WITH_NOT = HALVES | {"yet", "any", "anymore", "anything", "anyone", "either", "ever", "until"}
SHORT_BE = frozenset(["i'm", "you're", "we're", "they're", "it's", "that's", "he's", "she's", "there's"])

WORD = re.compile(r"[^\W\d_]{1,40}(?:['’][^\W\d_]{1,5})?")
END = re.compile(r"[.!?;]")


def perturb(text: str, severity: int, rng: random.Random) -> str | None:
    """None for a question, several sentences, a subordinate clause before the verb, and more verbs it knows than one.

    >>> perturb("The crew was friendly.", 1, random.Random(0))
    'The crew was not friendly.'
    >>> perturb("I don't like it", 1, random.Random(0))
    'I do like it'
    >>> [perturb(text, 1, random.Random(0)) for text in ("Is it late?", "Nothing was late", "It is what it is", "Late")]
    [None, None, None, None]
    """
    places = [found for start, end in wording.tokens(text) for found in WORD.finditer(text, start, end)]
    lowered = [found[0].lower().replace("’", "'") for found in places]
    known = [at for at, word in enumerate(lowered) if word in VERBS or word in SHORT_BE or negated(word)]
    if len(known) != 1 or "?" in text or not OTHERS.isdisjoint(lowered):
        return None
    at, rest = known[0], lowered[known[0] + 1 :]
    if END.search(text, 0, places[-1].start()) or not CLAUSES.isdisjoint(lowered[:at]):
        return None
    if negated(lowered[at]) or "not" in lowered:
        if lowered.count("not") + negated(lowered[at]) > 1 or not WITH_NOT.isdisjoint(rest):
            return None
        return affirmed(text, places[at]) if negated(lowered[at]) else unnegated(text, places, at)
    return inserted(text, places[at]) if sure(text, places, lowered, at) else None


def negated(word: str) -> bool:
    """Whether a small word is an auxiliary with its "not"."""
    return word in BARE or (word.endswith("n't") and word[:-3] in VERBS)


def affirmed(text: str, verb: re.Match[str]) -> str:
    """The text without the "n't" of its verb."""
    plain = verb[0].lower().replace("’", "'")
    return wording.replaced(text, [(verb.span(), wording.cased(BARE.get(plain, plain[:-3]), verb[0]))])


def unnegated(text: str, places: list[re.Match[str]], at: int) -> str | None:
    """The text without the "not" behind its verb; None where more than white space lies between."""
    verb, word = places[at], places[min(at + 1, len(places) - 1)]
    if word[0].lower() != "not" or text[verb.end() : word.start()].strip():
        return None
    return wording.replaced(text, [((verb.end(), word.end()), "")])


def sure(text: str, places: list[re.Match[str]], lowered: list[str], at: int) -> bool:
    """Whether "not" may follow the verb: a statement's main verb, with a subject before and something after it."""
    verb, word = places[at], lowered[at]
    if at + 1 == len(places) or text[verb.end() : places[at + 1].start()].strip() or lowered[at + 1] in HALVES:
        return False
    if word in SHORT_BE:
        return True
    if at == 0 or lowered[at - 1] in OWNERS:
        return False
    if verb[0][0].isupper() and not text.isupper():  # Will, the person
        return False
    if word in ("has", "have"):
        return lowered[at + 1] == "been"
    return word in MAIN and (word != "am" or lowered[at - 1] == "i")


def inserted(text: str, verb: re.Match[str]) -> str:
    """The text with "not" behind its verb."""
    word = " NOT" if verb[0].isupper() and len(verb[0]) > 1 else " not"
    return wording.replaced(text, [((verb.end(), verb.end()), word)])
