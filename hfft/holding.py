"""A finished run's answers to the fold that it did not see. Like verbs.py, this is a place where stages meet.

In: the folder of a run that was trained on all folds but one. Out: predictions/held_out.parquet, the attributes that
slices are made by, and the surest mistakes, beside its other files.
"""

from __future__ import annotations

from hfft import (
    adapting,
    answering,
    backbones,
    describing,
    gathering,
    predicting,
    recipe,
    rooms,
    segmenting,
    thresholds,
    timeline,
    trainer_arguments,
    working,
)
from hfft.records import HELD_OUT
from hfft.run_folder import RunFolder


@working.on("cv")
@timeline.phase("evaluate")
def out(name: str) -> None:
    """Answer the held-out rows as the run decides; on every process of a launch."""
    folder = RunFolder.existing(name)
    wanted = recipe.load(str(folder.root))
    modality, args = rooms.find("modalities", wanted.task), trainer_arguments.arguments(wanted, folder, fitting=False)
    rows = gathering.held_back(wanted, folder, HELD_OUT)
    backbone = backbones.reload(folder.model, modality)
    found = adapting.predictions(wanted, backbone, modality, rows, args)
    if args.process_index:
        return
    if found.multi_label:
        found = thresholds.applied(found, thresholds.read(folder.thresholds, found.names))
    else:
        found = answering.applied(folder, wanted.decide, found)
    describing.write(rows, modality, backbone.processor, folder.attributes(HELD_OUT))
    ask = segmenting.asker([backbone], wanted.model, args)
    predicting.write_mistakes(found, rows, modality, folder.mistakes(HELD_OUT), ask)
    found.write(folder.predictions(HELD_OUT))  # last: it says that the fold is finished
