"""Where the time of a verb went, beside what else is known of how a run was made: `time` in environment.json."""

from __future__ import annotations

from collections.abc import Callable

from hfft import timeline
from hfft.records import read_json, write_json
from hfft.run_folder import RunFolder


def told(folder: RunFolder, verb: str, say: Callable[[str], None]) -> dict[str, float]:
    """Phase → seconds of the verb that is running, said, and written into the folder; those of other verbs stay.

    A folder that does not say how it was made, such as that of folds of which some are missing, is left as it is.
    """
    found = timeline.seconds()
    say(timeline.told(found))
    kept = {verb: found} | timeline.firsts()
    if folder.environment.is_file():
        made = read_json(folder.environment)
        write_json(folder.environment, made | {"time": made.get("time", {}) | kept})
    return found
