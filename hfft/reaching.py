"""Is the Hugging Face Hub within reach? Asked once, within seconds: its libraries would try for minutes.

In: nothing. Out: "", or the reason in a few words. Where it is out of reach, this process goes offline, and what is on
the disk is used at once. huggingface_hub is imported when asked: it reads its environment once.
"""

from __future__ import annotations

import sys
import threading

SECONDS = 5.0
SET = "HF_HUB_OFFLINE is set"
_known: dict[str, str] = {}  # address → why it cannot be asked, or ""


def why() -> str:
    """Why the Hub cannot be asked; "" where it answers, whatever it answers. The first call takes SECONDS at most."""
    from huggingface_hub import constants

    address = constants.ENDPOINT
    if constants.HF_HUB_OFFLINE:
        return _known.get(address) or SET
    if address not in _known:
        _known[address] = _asked(address)
    if _known[address]:
        constants.HF_HUB_OFFLINE = True
        if (known := sys.modules.get("datasets.config")) is not None:
            known.HF_HUB_OFFLINE = known.HF_DATASETS_OFFLINE = True  # type: ignore[attr-defined]
    return _known[address]


def _asked(address: str) -> str:
    """A thread asks: looking up a name takes as long as it takes, whatever the timeout of the request."""
    said: list[str] = []
    asking = threading.Thread(target=lambda: said.append(_answer(address)), daemon=True)
    asking.start()
    asking.join(SECONDS)
    found = said[0] if said else f"nothing within {SECONDS:g} s"
    return f"{address} does not answer ({found})" if found else ""


def _answer(address: str) -> str:
    """Why there is none, or ""."""
    from huggingface_hub import get_session
    from huggingface_hub.errors import HTTPError

    try:
        get_session().head(address, timeout=SECONDS)
    except (HTTPError, OSError, ValueError) as error:  # of the HTTP library that huggingface_hub chose, and of Python
        return " ".join(str(error).split()) or type(error).__name__
    return ""
