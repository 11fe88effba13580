"""The card as it stands in a repository: with its name, its licence, and the words that its author typed there.

In: a run's card and what is in the repository. Out: the card to push, or InputError with one sentence where it would
replace what somebody else wrote. It must not send anything.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from hfft import card_front, card_marks, hub_repo, summarising
from hfft.errors import InputError
from hfft.hub_repo import Repo
from hfft.public_files import CARD, MANIFEST
from hfft.run_folder import RunFolder

LEFT = (".gitattributes",)  # the Hub's own
RECIPE = "train.hub_model_id"  # in the place of OWNER/NAME: what the recipe has under this key
NOWHERE = "PATH_OR_HUB_ID_OF_THIS_MODEL"


@dataclass(frozen=True)
class Wanted:
    """What was asked for, as the options of `hfft push` name it.

    to: OWNER/NAME. private: a new repository is; one that is there has to be. tag: default <run>-<first signs of the
    weights' digest>. overwrite: also what hfft did not write. dry_run: say what would happen; ask, but send nothing.
    space: the page to try it, too, under the same name. option: where `to` was told.
    """

    to: str = RECIPE
    private: bool = False
    tag: str | None = None
    licence: str | None = None
    language: str | None = None
    overwrite: bool = False
    dry_run: bool = False
    space: bool = False
    option: str = "--to"


def local_card(folder: RunFolder, wanted: Wanted) -> str:
    """The run's card with what only a repository gives it: its name, and where its figures lie."""
    text = (folder.model / CARD).read_text(encoding="utf-8")
    for before, after in {
        NOWHERE: wanted.to,
        "(../figures/": "(figures/",
        f"{summarising.called(folder)}/recipe.yaml": "recipe.yaml",
    }.items():
        text = text.replace(before, after)
    return text


def known_to_the_hub(card: str, wanted: Wanted, base_licence: str) -> str:
    """The front matter with the licence and language that are known, and no id that the Hub does not know.

    base_licence: of the model that was fine-tuned, as this machine knows it; "" for none.
    """
    front, drop = card_front.read(card), []
    change = {"language": wanted.language} if wanted.language else {}
    licence = card_front.licence(base_licence)
    for key, kind in {"base_model": "model", "datasets": "dataset"}.items():
        names = front.get(key) or []
        found = [hub_repo.known(name, kind) for name in ([names] if isinstance(names, str) else names)]
        if not all(found):
            drop.append(key)
        elif key == "base_model" and found:
            licence = card_front.licence(card_front.spoken(found[0]["license"])) or licence  # type: ignore[index]
    if wanted.licence:
        change |= card_front.licence(wanted.licence)
    elif "license" not in front:
        change |= licence
    return card_front.replaced(card, change, drop)


@dataclass(frozen=True)
class Seen:
    """What an earlier push, or somebody else, left in a repository. known: its hfft.json, {} where there is none."""

    held: frozenset[str]
    card: str
    known: dict[str, Any]


def seen(repo: Repo) -> Seen:
    """What is there, fetched once."""
    tree = hub_repo.read_tree(hub_repo.text(repo, MANIFEST))
    return Seen(frozenset(repo.files) - {*LEFT}, hub_repo.text(repo, CARD), tree)


def merged(card: str, there: Seen, wanted: Wanted, folder: RunFolder) -> str:
    """The card with the author's words, also those that were typed on the Hub. Refuses to replace anything else."""
    if not there.held:
        return card
    theirs, known = there.card, there.known
    if not wanted.overwrite:
        _check_ours(theirs, known, card, wanted, folder)
    words, here = card_marks.own(theirs), card_marks.own(card)
    as_left = digest(theirs) == (known.get("files") or {}).get(CARD)
    if known.get("run") == folder.root.resolve().name:
        mine = {} if not as_left else card_front.read(card)  # where nobody edited theirs, what is new here goes first
        card = card_front.replaced(
            card, {**card_marks.free(theirs), **{key: mine[key] for key in mine if key not in card_marks.CLAIMS}}
        )
    if words and here and words != here and not as_left and not wanted.overwrite:
        raise InputError(
            f"the words of your own in the card differ here ({folder.model / CARD}) and on the Hub ({wanted.to}), and "
            "both were changed; make them the same, or type --overwrite to take those here"
        )
    return card_marks.with_own(card, here or words)


def _check_ours(theirs: str, known: dict[str, Any], card: str, wanted: Wanted, folder: RunFolder) -> None:
    """Raise InputError for a repository that somebody else filled, or that holds another run."""
    name = folder.root.resolve().name
    if not known and not card_marks.ours(theirs):
        raise InputError(
            f"{wanted.to} holds what hfft did not write; type another name, or --overwrite to replace it (its commits "
            "stay in the history)"
        )
    if known.get("run", name) != name:
        raise InputError(
            f"{wanted.to} holds another run, {known['run']!r}; type another name, or --overwrite to put {name!r} in "
            "its place (its commits and tags stay)"
        )
    left = (known.get("files") or {}).get(CARD)
    if digest(theirs) not in (left, digest(card)) and not card_marks.untouched(theirs):
        raise InputError(
            f"the card of {wanted.to} was edited on the Hub, outside the lines for your own words; move them there, "
            f"put the edited card into {folder.model / CARD}, or type --overwrite to replace it"
        )


def digest(text: str) -> str:
    """sha256 of a card."""
    return hashlib.sha256(text.encode()).hexdigest()
