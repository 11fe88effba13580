"""A finished run goes to the Hugging Face Hub, and is fetched back to see that it arrived.

In: a run folder and OWNER/NAME. Out: one commit with what is allowed to leave this machine, a tag, and facts about what
was fetched back: the same files, the same answers. Nothing that somebody else wrote is replaced unasked. The test split
stays closed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from hfft import (
    card_front,
    card_marks,
    claiming,
    hub_access,
    hub_repo,
    judging,
    licences,
    public_files,
    pushed_cards,
    scratch,
    shipping_facts,
    space_folder,
    working,
)
from hfft.errors import InputError, counted, listed
from hfft.hub_repo import Repo
from hfft.public_files import CARD, MANIFEST
from hfft.pushed_cards import Seen, Wanted
from hfft.recipe import read_yaml
from hfft.references import sha256
from hfft.run_folder import RunFolder

Say = Callable[[str], None]
MODEL, SPACE = "model", "space"


@dataclass(frozen=True)
class Parcel:
    """What one repository will hold: the files of `clean`, path → sha256 in `digests`; `there` is what is in it now."""

    repo: Repo
    there: Seen
    clean: Path
    digests: dict[str, str]
    tag: str | None
    message: str
    overwrite: bool

    @cached_property
    def changed(self) -> dict[str, str]:
        """Those of the files that are not there as they are here."""
        return {path: self.digests[path] for path in self.repo.changed(self.clean, self.digests)}

    @cached_property
    def gone(self) -> list[str]:
        """Files of an earlier push that this one has no more; of a repository to be overwritten, all others."""
        held, known = self.there.held - set(self.digests), self.there.known
        return sorted(held if self.overwrite and not known else held & set(known.get("files") or {}))

    @property
    def called(self) -> str:
        return f"{'Space ' * (self.repo.kind == SPACE)}{self.repo.name}"

    def bytes_of(self, paths: dict[str, str]) -> int:
        return sum((self.clean / path).stat().st_size for path in paths)


@working.on("push", unless=lambda run, wanted, say=print: wanted.dry_run)
def publish(run: str, wanted: Wanted, say: Say = print) -> dict[str, Any]:
    """Push the model of a finished run as `wanted` says, and check what comes back.

    Everything that can be in the way is asked before anything is sent, of the Space, too. Returns {"repo", "url",
    "commit", "tag", "sent", "removed", "files", "bytes", "total_bytes", "checked", …}. Raises InputError with one
    sentence for whatever is in the way.
    """
    hub_access.named(wanted.to, wanted.option)
    folder = RunFolder.existing(run)
    _check_parity(folder)
    if read_yaml(folder.root / "recipe.yaml")["model"].get("trust_remote_code"):
        raise InputError(
            f"{run}: the model runs Python code of its own (model.trust_remote_code), without which it cannot be "
            f"loaded, and hfft pushes no code of others. Push {folder.model} by hand, once you have read that code"
        )
    if wanted.dry_run:
        say("card and figures are told as they lie in the run; a push writes them anew first")
    else:
        _ask(wanted, say)
        for sentence in judging.publish(folder):
            say(f"note: {sentence}")
    if "test" not in folder.read_scores():
        say("the test split has not been opened, so the card has validation numbers; hfft eval, then push again")
    with scratch.folder("push", claiming.scratch(folder)) as room:
        model = _model(folder, wanted, room / MODEL, say)
        page = _page(folder, wanted, room / SPACE, model) if wanted.space else None
        facts = _sent(model, wanted, say)
        if facts["commit"] and facts["changed"]:
            facts["checked"] = _checked(folder, model, facts["commit"], room / "cache", say)
        if page:
            facts |= {SPACE: _sent_after(page, wanted, facts["url"], say)}
    return {"run": str(folder.root), "dry_run": wanted.dry_run} | facts


def _check_parity(folder: RunFolder) -> None:
    if shipping_facts.parity(folder).get("passed") is False:
        raise InputError(
            f"{folder.root / shipping_facts.PARITY} says that plain transformers does not answer as this run does; "
            "such a model is not pushed: see its `why`, mend it, and type hfft eval again"
        )


def _ask(wanted: Wanted, say: Say) -> None:
    """Whether the token may write to the model's repository, and to the Space's."""
    for kind in [MODEL, *[SPACE] * wanted.space]:
        say(hub_access.check(wanted.to, wanted.option, kind))


def _model(folder: RunFolder, wanted: Wanted, clean: Path, say: Say) -> Parcel:
    told = read_yaml(folder.root / "recipe.yaml")
    card = pushed_cards.local_card(folder, wanted)
    clean.mkdir()
    public_files.collect(folder, told, clean, card)
    if wanted.dry_run:  # the files first: they can be told without a token
        _say_files(clean, say)
        _ask(wanted, say)
    repo = hub_repo.state(wanted.to)
    _check_visibility(repo, wanted)
    there = pushed_cards.seen(repo)
    card = pushed_cards.merged(card, there, wanted, folder)
    card = pushed_cards.known_to_the_hub(card, wanted, _base_licence(told["model"]))
    written = card_marks.untouched((folder.model / CARD).read_text(encoding="utf-8"))
    (clean / CARD).write_text(card_marks.sealed(card) if written else card, encoding="utf-8")
    digests, message = _sealed(folder, clean), f"{folder.root.resolve().name}, by hfft"
    parcel = Parcel(repo, there, clean, digests, wanted.tag or _tag(folder, digests), message, wanted.overwrite)
    if wanted.tag in repo.tags and parcel.changed:
        raise InputError(f"--tag {wanted.tag}: {wanted.to} has a tag of this name for another commit; type another")
    return parcel


def _page(folder: RunFolder, wanted: Wanted, clean: Path, model: Parcel) -> Parcel:
    """The page to try the model, as a Space of the same name."""
    licence = card_front.read((model.clean / CARD).read_text(encoding="utf-8")).get("license")
    space_folder.write(folder, clean, wanted.to, licence=licence)
    repo = hub_repo.state(wanted.to, SPACE)
    _check_visibility(repo, wanted)
    there = pushed_cards.seen(repo)
    if there.held and not there.known and not wanted.overwrite:
        raise InputError(f"the Space {wanted.to} holds what hfft did not write; type --overwrite to replace it")
    if not wanted.dry_run:  # of the model's card a commit asks before it sends; the Space's would come too late
        hub_repo.validate((clean / CARD).read_text(encoding="utf-8"), wanted.to, SPACE)
    message = "the page to try it, by hfft"
    return Parcel(repo, there, clean, _sealed(folder, clean), None, message, wanted.overwrite)


def _sent(parcel: Parcel, wanted: Wanted, say: Say) -> dict[str, Any]:
    """One commit with what differs, and the tag. Says what it does, or that there is nothing to do."""
    repo, changed, gone, tag = parcel.repo, parcel.changed, parcel.gone, parcel.tag
    size, whole = parcel.bytes_of(changed), parcel.bytes_of(parcel.digests)
    facts: dict[str, Any] = {"repo": repo.name, "url": _url(repo), "tag": tag, "files": sorted(parcel.digests)}
    facts |= {"sent": list(changed), "removed": gone, "bytes": size, "total_bytes": whole}
    facts |= {"private": repo.private if repo.exists else wanted.private}
    facts |= {"changed": bool(changed or gone), "commit": repo.head}
    what = f"{counted(len(changed), 'file')} ({_mb(size)})"
    if wanted.dry_run:
        say(
            f"would send {what} of {len(parcel.digests):,} ({_mb(whole)}) to {parcel.called}"
            f"{', which would be made' * (not repo.exists)}{f', as {tag}' if tag else ''}"
            f"{f', and remove {listed(gone)}' if gone else ''}; nothing was sent"
        )
        return facts | {"commit": None}
    if not facts["changed"] and (tag is None or repo.tags.get(tag) == repo.head):
        say(f"{parcel.called} holds exactly this already{f', as {tag}' if tag else ''}: nothing to do")
        return facts
    if not repo.exists:
        hub_repo.make(repo.name, repo.kind, wanted.private)
        repo = hub_repo.state(repo.name, repo.kind)
    if facts["changed"]:
        say(f"sending {what} to {parcel.called}")
        facts["commit"] = hub_repo.commit(repo, parcel.clean, changed, gone, parcel.message, say)
    if tag and repo.tags.get(tag) != facts["commit"]:
        hub_repo.tag(repo, tag, facts["commit"], parcel.message)
    return facts


def _sent_after(page: Parcel, wanted: Wanted, url: str, say: Say) -> dict[str, Any]:
    """The Space, after the model; where it fails, that the model has arrived is part of the sentence."""
    try:
        return _sent(page, wanted, say)
    except InputError as error:
        raise InputError(f"the model is at {url}, but its page is not there: {error}") from error


def _check_visibility(repo: Repo, wanted: Wanted) -> None:
    if repo.exists and wanted.private and not repo.private:
        raise InputError(
            f"{wanted.to} is there and public, and --private makes only new ones private; make it private at "
            f"{_url(repo)}/settings, or type another name"
        )


def _sealed(folder: RunFolder, clean: Path) -> dict[str, str]:
    """path → sha256 of what goes out, hfft.json with it. Raises InputError for what would give something away."""
    from huggingface_hub import get_token

    files = [path for path in public_files.listing(clean) if path != MANIFEST]
    digests = public_files.check(clean, files, folder, get_token())
    public_files.manifest(folder, clean, files, digests)
    return digests | {MANIFEST: sha256(clean / MANIFEST)}


def _checked(folder: RunFolder, model: Parcel, commit: str, cache: Path, say: Say) -> dict[str, Any]:
    """What was fetched back into an empty cache: the same files, the same answers. Raises InputError otherwise."""
    from hfft import rereading

    to, digests = model.repo.name, model.digests
    got = hub_repo.pull(to, MODEL, commit, cache)
    other = [
        path for path, digest in digests.items()
        if not (got / path).is_file() or sha256(got / path) != digest
    ]  # fmt: skip
    if other:
        raise InputError(f"{to} did not come back as it was sent: {listed(other)}; push again")
    facts = {"files": len(digests)} | rereading.compared(folder, got)
    say(f"fetched back: {counted(len(digests), 'file')}, the same bytes; {rereading.sentence(facts)}")
    if facts.get("different"):
        raise InputError(f"the model that came back from {to} answers otherwise than {folder.model}")
    return facts


def _base_licence(model: dict[str, Any]) -> str:
    """Of the weights that were fine-tuned; "" where they were random, or where nothing is known."""
    return licences.licence(str(model["name"])) if model.get("pretrained", True) else ""


def _say_files(clean: Path, say: Say) -> None:
    sizes = {path: (clean / path).stat().st_size for path in public_files.listing(clean)}
    for path, size in sizes.items():
        say(f"  {size:>12,}  {path}")
    say(f"  {sum(sizes.values()):>12,}  bytes in {counted(len(sizes), 'file')}, and {MANIFEST}, which lists them")


def _tag(folder: RunFolder, digests: dict[str, str]) -> str:
    """Which run, and which of its trainings: stable, and a name that git takes."""
    name = "".join(
        sign if sign.isascii() and (sign.isalnum() or sign in "-_") else "-" for sign in folder.root.resolve().name
    )
    weights = next((digest for path, digest in digests.items() if path.endswith(".safetensors")), "")
    return f"{name.strip('-') or 'run'}-{weights[:8]}"


def _mb(size: int) -> str:
    return f"{size / 1e6:.1f} MB"


def _url(repo: Repo) -> str:
    from huggingface_hub import constants

    return f"{constants.ENDPOINT}/{'spaces/' * (repo.kind == 'space')}{repo.name}"
