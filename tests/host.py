"""`torchrun … tests/host.py WORDS` is `hfft WORDS` on a machine with a fate: FATE="rank step end".

end: "killed", at that step, as by a power cut of one machine: its launcher goes, too. "frozen": it stays, and answers
no more. "cut": Ctrl-C, on all machines at once; then it goes on with --resume.
"""

import os
import signal
import sys
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from hfft import launches, watching
from hfft.cli import main


class Fate(TrainerCallback):
    def __init__(self, rank: str, step: str, end: str) -> None:
        self.mine, self.step, self.end, self.said = rank == os.environ["RANK"], int(step), end, None

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step != self.step:
            return
        if self.end == "cut":
            raise KeyboardInterrupt
        if self.mine:
            os.killpg(0, signal.SIGKILL if self.end == "killed" else signal.SIGSTOP)


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
    launches.WAIT = 0.5  # on one disk a file is there at once
    run(sys.argv[1:])
