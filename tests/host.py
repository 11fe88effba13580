"""`hfft WORDS` with a fate: FATE="rank step cut" is Ctrl-C on all processes at once; then it goes on with --resume."""

import os
import sys
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from hfft import watching
from hfft.cli import main


class Fate(TrainerCallback):
    def __init__(self, rank: str, step: str, end: str) -> None:
        self.step, self.end, self.said = int(step), end, None

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step != self.step:
            return
        if self.end == "cut":
            raise KeyboardInterrupt


def run(words: list[str]) -> None:
    fate = os.environ.get("FATE", "").split()
    with watching.watched(*([Fate(*fate)] if fate else [])):
        try:
            return main(words)
        except SystemExit as end:
            if "cut" not in fate or not end.code:
                raise
    main([*words, "--resume"])


if __name__ == "__main__":
    run(sys.argv[1:])
