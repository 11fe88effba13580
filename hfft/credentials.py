"""Secrets: kept out of recipes, taken from the environment, and masked in whatever is written or printed.

In: texts and plain mappings. Out: the same without a secret; where in a recipe one is; a text with ${NAME} filled in.
It must not know what a secret opens. A secret that is in a file is in every copy of it: the run folder, the card, a
mail with "here is my recipe".
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any

MASK = "***"
# Keys whose value nobody should see: whole words of a key, so that max_tokens and token_column are none.
KEY = re.compile(
    r"(^|.*[_-])(token|secret|password|passwd|credentials?|api_?key|access_?key|secret_?key|account_?key|sas)"
    r"([_-](id|key|value))?",
    re.IGNORECASE,
)
# scheme://user:password@ with the last @ before a blank, a quote that ends the address, or the next address: not
# everybody escapes the @, / and ? of a password. None are what is masked already, the port of host:8080/a@b or
# [::1]:8080/a@b, and the path of file://c:/a@b.
LOGIN = re.compile(
    r"(?<![\w+.-])([A-Za-z][\w+.-]*://)(?!\[[^\]@\s]*\])([^/@\s:'\"]*):"
    r"(?!(?:\d{1,5}|\*\*\*|\$\{\w+\})[/?#]|\*\*\*@|//|(?<=://[A-Za-z]:)/)"
    r"((?:(?!://)(?:[^\s'\"]|['\"](?=\w)))+(?=@)|[^/@\s]+)@"
)
WEB = re.compile(r".*(?:https?|ssh|ftp)://", re.IGNORECASE)  # where an @ after the host is no rarity: /repo.git@v1
LONE = re.compile(r"(?<![\w+.-])(https?://)([^/@\s:'\"]{16,})@")  # https://TOKEN@host, as git takes it
QUERY = re.compile(
    r"([?&](?:[\w-]*token|(?:[\w-]*[_-]|api|access)?key|[\w-]*secret|password|passwd|pwd|auth|sig|signature|x-amz-signature|"
    r"x-amz-credential|x-goog-signature)=)([^&\s'\"#]+)",
    re.IGNORECASE,
)
# Tokens that can be told by their own form: of the Hub, GitHub, OpenAI and others, AWS, Slack.
FORMS = re.compile(
    r"(?<![A-Za-z0-9])(hf_[A-Za-z0-9]{20,}|gh[pousr]_[A-Za-z0-9]{30,}|github_pat_\w{30,}|sk-[\w-]{20,}"
    r"|A(?:KIA|SIA)[0-9A-Z]{16}|xox[abprs]-[\w-]{10,})"
)
HELD = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "PGPASSWORD")
SHORTEST = 8  # a value of the environment that is shorter is also a word, and is not masked
NAMED = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_filled: set[str] = set()


def masked(text: str) -> str:
    """The text without passwords in addresses, tokens, and what the environment keeps as secrets.

    >>> masked("postgresql://me:secret@host/db"), masked("https://x.org/a.csv?token=abc&b=1")
    ('postgresql://me:***@host/db', 'https://x.org/a.csv?token=***&b=1')
    """
    for secret in sorted({os.environ.get(name, "") for name in HELD} | _filled, key=len, reverse=True):
        if len(secret) >= SHORTEST:
            text = text.replace(secret, MASK)
    if not any(sign in text for sign in ("://", "=", "_", "-", "AKIA", "ASIA")):
        return text
    text = LOGIN.sub(_closed, text)
    text = LONE.sub(rf"\1{MASK}@", text)
    return FORMS.sub(MASK, QUERY.sub(rf"\1{MASK}", text))


def _closed(found: re.Match[str]) -> str:
    """An address with its password masked. On the web it ends with the last @ before the path, where there is one."""
    scheme, user, rest = found[1], found[2], f"{found[3]}@"
    ends = re.split("[/?#]", rest, maxsplit=1)[0].rfind("@") if WEB.fullmatch(scheme) else -1
    return f"{scheme}{user}:{MASK}{rest[ends:] if ends > 0 else '@'}"


def mistakes(tree: Any, key: str = "") -> list[str]:
    """Sentences on each secret that stands in a recipe, none of which shows it. ${NAME} is none.

    >>> mistakes({"options": {"token": "abc"}}, "data")[0][:46]
    'data.options.token: a secret in a recipe is in'
    >>> mistakes({"options": {"token": "${MY_TOKEN}"}}, "data")
    []
    """
    return [
        f"{place}: a secret in a recipe is in every copy of it; type '${{NAME}}' in its place, and set NAME in the "
        "environment"
        for place in _places(tree, key)
    ]


def _places(tree: Any, key: str) -> Iterator[str]:
    if isinstance(tree, dict):
        for name, part in tree.items():
            inside = f"{key}.{name}" if key else str(name)
            plain = isinstance(part, (str, int)) and not isinstance(part, bool) and str(part).strip()
            if plain and KEY.fullmatch(str(name)) and not NAMED.search(str(part)):
                yield inside
            else:
                yield from _places(part, inside)
    elif isinstance(tree, (list, tuple)):
        for part in tree:
            yield from _places(part, key)
    elif isinstance(tree, str) and masked(NAMED.sub(MASK, tree)) != NAMED.sub(MASK, tree):
        yield key


def filled(value: Any) -> Any:
    """Texts, also those in lists and mappings, with each ${NAME} as the environment has it; what it has is masked
    from here on.

    Raises KeyError with the NAME that is not set.
    """
    if isinstance(value, dict):
        return {key: filled(part) for key, part in value.items()}
    if isinstance(value, list):
        return [filled(part) for part in value]
    if not isinstance(value, str):
        return value

    def put(found: re.Match[str]) -> str:
        held = os.environ[found[1]]
        _filled.add(held)
        return held

    return NAMED.sub(put, value)
