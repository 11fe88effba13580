"""Which part of a card hfft wrote, and which part somebody else: nobody's words are overwritten.

In: texts of cards. Out: texts. The last line of a card holds a digest of what hfft claims. Between two marks is room
for the author's own words, and the front matter has room for their licence, language, tags and examples: these are left
out of the digest, and every new card takes them over. It must not know runs or the Hub.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from hfft import card_front

BEGIN, END = "<!-- your own words: hfft keeps what is between these lines -->", "<!-- end of your own words -->"
OWN = re.compile(re.escape(BEGIN) + r"\n(.*?)" + re.escape(END), re.DOTALL)
CLAIMS = ("library_name", "pipeline_tag", "base_model", "datasets", "metrics", "model-index")  # of the front matter
SEAL = re.compile(r"\n<!-- written by hfft, ([0-9a-f]{64}) -->\s*\Z")


def sealed(text: str) -> str:
    """The card with the digest of all but the author's words in its last line; an older seal goes."""
    body = SEAL.sub("", _lines(text)).rstrip("\n")
    return f"{body}\n\n<!-- written by hfft, {_digest(body)} -->\n"


def untouched(text: str) -> bool:
    """Whether the card is as hfft wrote it, but for the author's words between the marks.

    >>> card = sealed(f"# A model\\n{BEGIN}\\n{END}")
    >>> untouched(card), untouched(with_own(card, "mine\\n")), untouched(card.replace("model", "marvel"))
    (True, True, False)
    """
    text = _lines(text)
    found = SEAL.search(text)
    return bool(found and found[1] == _digest(SEAL.sub("", text)))


def ours(text: str) -> bool:
    """Whether hfft wrote the card at first, whatever became of it."""
    return SEAL.search(_lines(text)) is not None


def own(text: str) -> str:
    """The author's words in a card; "" where there are none."""
    found = OWN.search(_lines(text))
    return found[1] if found else ""


def with_own(text: str, words: str) -> str:
    """The card with these words of the author."""
    return OWN.sub(lambda _: f"{BEGIN}\n{words}{END}", text)


def kept(text: str, old: str) -> str:
    """The card `text` with what the author may have put into `old`: words, and keys of the front matter."""
    return with_own(card_front.replaced(text, free(old)), own(old))


def free(text: str) -> Mapping[str, Any]:
    """Keys of the front matter that are the author's to change."""
    return {key: value for key, value in card_front.read(text).items() if key not in CLAIMS}


def _digest(body: str) -> str:
    front = card_front.read(body)
    claims = json.dumps({key: front[key] for key in CLAIMS if key in front}, sort_keys=True, default=str)
    rest = OWN.sub("", card_front.FRONT.sub("", body)).rstrip("\n")
    return hashlib.sha256(f"{claims}\n{rest}".encode()).hexdigest()


def _lines(text: str) -> str:
    """Editors on the Hub and on Windows end lines otherwise."""
    return text.replace("\r\n", "\n")
