"""What a text looks like, apart from what it says: length, casing, and whether it holds digits, links or emoji.

In: texts, perhaps a tokenizer. Out: one value per text and trait. It must not know about rows, labels or models.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from hfft.text_lengths import CHUNK

Traits = dict[str, list[float] | list[str]]

# Each is looked for anywhere in the text.
MARKS = {
    "digits": re.compile(r"\d"),
    "question": re.compile(r"[?\u061f\uff1f]"),
    "exclamation": re.compile(r"[!\uff01]"),
    "url": re.compile(r"\bhttps?\b|\bwww\.", re.IGNORECASE),
    "handle": re.compile(r"(?<![\w.])@\w"),  # not of an e-mail address
    "hashtag": re.compile(r"(?<!\w)#\w*[^\W\d_]"),  # not "#1"
    "emoji": re.compile("[\U0001f000-\U0001faff\u2600-\u27bf\u2b50\u2b55\u231a-\u23ff]"),
    "accents": re.compile(r"[^\W\d_\x00-\x7f]"),  # letters beyond ASCII
}
MOSTLY = 0.5  # share of capitals among the letters that have a case


def traits(texts: Sequence[str]) -> Traits:
    """Words (as white space tells them), casing, and "yes" or "no" for each of MARKS.

    >>> found = traits(["WHAT is 2 + 2?", "see www.example.org"])
    >>> found["words"], found["casing"], found["question"], found["url"]
    ([5.0, 2.0], ['mostly capitals', 'no capitals'], ['yes', 'no'], ['no', 'yes'])
    """
    found: Traits = {"words": [float(len(text.split())) for text in texts], "casing": [casing(text) for text in texts]}
    for name, pattern in MARKS.items():
        found[name] = ["yes" if pattern.search(text) else "no" for text in texts]
    return found


def casing(text: str) -> str:
    """How a text uses capitals.

    >>> casing("HELP me NOW"), casing("Hello"), casing("i like Rome"), casing("ok"), casing("42")
    ('mostly capitals', 'a capital first', 'capitals inside only', 'no capitals', 'no cased letters')
    """
    cased = [sign for sign in text if sign.isupper() or sign.islower()]
    upper = sum(map(str.isupper, cased))
    if not cased:
        return "no cased letters"
    if not upper:
        return "no capitals"
    if len(cased) > 1 and upper > MOSTLY * len(cased):
        return "mostly capitals"
    return "a capital first" if cased[0].isupper() else "capitals inside only"


def unknown(texts: Sequence[str], tokenizer: Any) -> list[float] | None:
    """Percent of each uncut text's tokens that the tokenizer does not know; None where it has no token for those."""
    sign = getattr(tokenizer, "unk_token_id", None)
    if sign is None:
        return None
    plain = {"truncation": False, "add_special_tokens": False, "return_attention_mask": False, "verbose": False}
    out: list[float] = []
    for start in range(0, len(texts), CHUNK):
        for ids in tokenizer(list(texts[start : start + CHUNK]), **plain)["input_ids"]:
            out.append(100.0 * ids.count(sign) / max(len(ids), 1))
    return out
