"""Training that ends on the Hub, and the push by hand: where the verbs `run` and `push` meet.

In: a recipe with `train.push_to_hub`, or a run. Out: the facts of both. Whether the push would be allowed is asked
before the data is read. Verbs that train many models push none of them: which one is worth it is not known then.
"""

from __future__ import annotations

import os
from typing import Any

from hfft import hub_access, publishing, recipe, verbs
from hfft.errors import InputError
from hfft.gathering import Say
from hfft.run_folder import RunFolder

OPTION = "train.hub_model_id"


def run(
    name: str, overrides: tuple[str, ...] = (), output_dir: str | None = None, resume: bool = False, say: Say = print
) -> dict[str, Any]:
    """As `verbs.run`; with `train.push_to_hub`, the model is pushed at the end, its card with validation numbers."""
    train = recipe.load(name, overrides).train
    if not train.get("push_to_hub"):
        return verbs.run(name, overrides, output_dir, resume, say)
    to = str(train["hub_model_id"])
    said = hub_access.check(to, OPTION)
    if os.environ.get("RANK", "0") == "0":  # the first of several processes, which have not met yet
        say(said)
    facts = verbs.run(name, overrides, output_dir, resume, say, pushed=True)
    if "validation" not in facts:  # a process other than the first
        return facts
    try:
        pushed = publishing.publish(facts["run"], to, bool(train.get("hub_private_repo")), say=say, option=OPTION)
    except InputError as error:
        raise InputError(
            f"the run is finished and kept in {facts['run']}, but it was not pushed: {error}; "
            f"then: hfft push {facts['run']}"
        ) from error
    return facts | {"pushed": pushed}


def push(
    folder: str,
    to: str | None,
    private: bool = False,
    dry_run: bool = False,
    space: bool = False,
    tag: str | None = None,
    licence: str | None = None,
    language: str | None = None,
    overwrite: bool = False,
    say: Say = print,
) -> dict[str, Any]:
    """As `publishing.publish`, to where the recipe says if `to` is not given."""
    train = recipe.load(str(RunFolder.existing(folder).root)).train
    if to is None and not train.get("hub_model_id"):
        raise InputError(f"where to? type hfft push {folder} --to OWNER/NAME, or put {OPTION} into the recipe")
    chosen, option = (to, "--to") if to is not None else (str(train["hub_model_id"]), OPTION)
    hidden = private or (to is None and bool(train.get("hub_private_repo")))
    return publishing.publish(folder, chosen, hidden, dry_run, space, say, tag, licence, language, overwrite, option)
