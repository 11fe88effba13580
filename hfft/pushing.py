"""Training that ends on the Hub, and the push by hand: where the verbs `run` and `push` meet.

In: a recipe with `train.push_to_hub`, or a run. Out: the facts of both. Whether the push would be allowed is asked
before the data is read. Verbs that train many models push none of them: which one is worth it is not known then.
"""

from __future__ import annotations

import dataclasses
import datetime
import os
from collections.abc import Callable
from typing import Any

from hfft import hub_access, publishing, recipe
from hfft.errors import InputError
from hfft.publishing import Say
from hfft.pushed_cards import RECIPE, Wanted
from hfft.run_folder import RunFolder

LONGEST = datetime.timedelta(days=2)  # of an upload for which other processes wait


def run(
    name: str,
    overrides: tuple[str, ...] = (),
    output_dir: str | None = None,
    resume: bool = False,
    say: Say = print,
    force: bool = False,
) -> dict[str, Any]:
    """As `verbs.run`; with `train.push_to_hub`, the model is pushed at the end, its card with validation numbers.

    Of several processes the first one pushes, and the others wait for it.
    """
    from hfft import verbs

    train = recipe.load(name, overrides).train
    if not train.get("push_to_hub"):
        return verbs.run(name, overrides, output_dir, resume, say, force=force)
    to = str(train["hub_model_id"])
    said = hub_access.check(to, RECIPE)
    if os.environ.get("RANK", "0") == "0":  # the first of several processes, which have not met yet
        say(said)
    facts = verbs.run(name, overrides, output_dir, resume, say, pushed=True, force=force)
    wanted = Wanted(to, bool(train.get("hub_private_repo")), option=RECIPE)
    return facts | _by_the_first(lambda: _pushed(facts["run"], wanted, say))


def push(folder: str, wanted: Wanted, say: Say = print) -> dict[str, Any]:
    """As `publishing.publish`, to where the recipe says if `wanted` does not."""
    train = recipe.load(str(RunFolder.existing(folder).root)).train
    if wanted.to == RECIPE:
        if not train.get("hub_model_id"):
            raise InputError(f"where to? type hfft push {folder} --to OWNER/NAME, or put {RECIPE} into the recipe")
        private = wanted.private or bool(train.get("hub_private_repo"))
        wanted = dataclasses.replace(wanted, to=str(train["hub_model_id"]), private=private, option=RECIPE)
    return publishing.publish(folder, wanted, say)


def _pushed(folder: str, wanted: Wanted, say: Say) -> dict[str, Any]:
    try:
        return {"pushed": publishing.publish(folder, wanted, say)}
    except InputError as error:
        raise InputError(
            f"the run is finished and kept in {folder}, but it was not pushed: {error}; then: hfft push {folder}"
        ) from error


def _by_the_first(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What the first of the launched processes makes of it; {} on the others, which return when it has ended.

    A process that ended before would leave the launcher to count its grace period while files are sent. The group is
    one of its own: that of training gives up on its members long before a large upload is through.
    """
    import torch

    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return work()
    group = torch.distributed.new_group(backend="gloo", timeout=LONGEST)
    try:
        return work() if torch.distributed.get_rank() == 0 else {}
    finally:
        torch.distributed.barrier(group)  # type: ignore[arg-type]  # the type of a group that one is no member of
