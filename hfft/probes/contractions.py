"""English contractions: "do not" and "don't", and the two apostrophes that phones and keyboards write.

Left alone because the words could mean something else: "he'd" (had, would), "it's been" (has), "can not only", "isn't
it" and "why aren't trains" (order), "I know who you are" (nothing follows).
"""

from __future__ import annotations

import random
import re

from hfft import wording

INPUT = "text"
KIND = "invariance"
SAFE = True
SEVERITIES = 1
SAYS = "“do not” for “don't” or the other way round, or the other form of the apostrophe"

IRREGULAR = {"can't": "cannot", "won't": "will not", "shan't": "shall not"}
BEFORE_NOT = "do|does|did|is|are|was|were|has|have|had|would|could|should|must|need"
PRONOUNS = "i|you|we|they|he|she|it|this|that|there"
PLACES = "it|that|there|here|what"  # before "is"
# What "'s" may be "has" before.
PERFECT = r"been|had|got|gone|done|become|taken|made|come|grown|always|never|just|already|\w{1,20}ed"

LONG = re.compile(
    rf"\b(?:(?P<verb>{BEFORE_NOT}) not|(?P<can>can ?not)|(?P<will>will not)"
    rf"|(?P<are>you|we|they) are(?= \w)|(?P<am>i) am(?= \w)|(?P<shall>{PRONOUNS}) will(?= \w)"
    rf"|(?P<is>{PLACES}|he|she) is(?= \w)|(?P<have>i|you|we|they) have(?= (?:{PERFECT})\b))\b(?! (?:only|not)\b)",
    re.IGNORECASE,
)
QUESTIONS = frozenset(["who", "what", "which", "where", "when", "why", "how", "and", "but", "or"])
ENDS = {"verb": "n{}t", "are": "{}re", "am": "{}m", "shall": "{}ll", "is": "{}s", "have": "{}ve"}
SHORT = re.compile(
    rf"\b(?:(?P<not>(?:{BEFORE_NOT})n['’]t|can['’]t|won['’]t|shan['’]t)(?! (?:{PRONOUNS}|only)\b)"
    rf"|(?P<are>you|we|they)['’]re|(?P<am>i)['’]m|(?P<will>{PRONOUNS})['’]ll|(?P<have>i|you|we|they)['’]ve"
    rf"|(?P<is>{PLACES})['’]s(?= \w)(?! (?:{PERFECT})\b))\b",
    re.IGNORECASE,
)
APOSTROPHE = re.compile(r"(?<=\w)['’](?=(?:t|s|re|m|ll|ve|d)\b)", re.IGNORECASE)


def shortened(text: str, apostrophe: str = "'") -> str:
    """Every form that has a short one in that form.

    >>> shortened("I do not think it is late. Do not worry, we have asked, you can not only wait.")
    "I don't think it's late. Don't worry, we've asked, you can not only wait."
    """

    def short(found: re.Match[str]) -> str:
        kind = str(found.lastgroup)
        if kind in ("can", "will"):
            return wording.cased(f"{'can' if kind == 'can' else 'won'}{apostrophe}t", found[0])
        end = ENDS[kind].format(apostrophe)
        return found[kind] + (end.upper() if found[0].isupper() and len(found[0]) > 4 else end)

    return LONG.sub(short, text)


def lengthened(text: str) -> str:
    """Every short form whose long one is certain in that form.

    >>> lengthened("I'm sure it’s fine, DON'T worry, it won't break. Isn't it? Why aren't trains late?")
    "I am sure it is fine, DO NOT worry, it will not break. Isn't it? Why aren't trains late?"
    >>> lengthened("It's been late, that's John's.")
    "It's been late, that is John's."
    """

    def long(found: re.Match[str]) -> str:
        kind = str(found.lastgroup)
        if kind == "not" and turned(text, found):
            return found[0]
        if kind == "not":
            plain = found[0].lower().replace("’", "'")
            return wording.cased(IRREGULAR.get(plain, plain.removesuffix("n't") + " not"), found[0])
        upper = found[0].isupper() and len(found[0]) > 3
        return f"{found[kind]} {kind.upper() if upper else kind}"

    return SHORT.sub(long, text)


def turned(text: str, found: re.Match[str]) -> bool:
    """Whether the verb may stand before its subject, as in "Why aren't the trains" and "Isn't my card"."""
    before = text[max(0, found.start() - 12) : found.start()].split()
    starts = not before or before[-1][-1] in ".!?,;:"
    return before[-1].lower() in QUESTIONS if not starts else found[0][:3].lower() != "don"


def other_apostrophes(text: str) -> str:
    """Typewriter's and printer's apostrophes in each other's place, inside words.

    >>> other_apostrophes("'We can't' isn’t said")
    "'We can’t' isn't said"
    """
    return APOSTROPHE.sub(lambda found: "’" if found[0] == "'" else "'", text)


def perturb(text: str, severity: int, rng: random.Random) -> str | None:
    """One of the three that changes the text; None where there is nothing to contract or expand.

    >>> perturb("the gate is not open", 1, random.Random(1))
    "the gate isn't open"
    """
    forms = [shortened(text, rng.choice("'’")), lengthened(text), other_apostrophes(text)]
    forms = [form for form in forms if form != text]
    return rng.choice(forms) if forms else None
