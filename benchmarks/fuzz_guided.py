"""The same doors as fuzz.py, led by what of hfft's own code each input reaches: atheris (libFuzzer).

    pip install atheris                                   # wheels for Python 3.11 and later
    python benchmarks/fuzz_guided.py recipe --seconds 120

One door a run, in this process: a fault ends it, and libFuzzer leaves its input beside. Only hfft and the parsers that
are written in Python are watched, so this is for recipe, words, lines, archive, card and json; pictures and Parquet are
read by C, which fuzz.py tries blindly.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

with atheris.instrument_imports(include=["hfft", "yaml", "tarfile", "zipfile"]):
    from tests import doors

TOLD = 2_000  # inputs between two lines of counts: libFuzzer ends the process, and nothing can be said afterwards


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("door", choices=list(doors.DOORS))
    parser.add_argument("--seconds", type=int, default=60)
    asked = parser.parse_args()
    counts: Counter[str] = Counter()
    place = tempfile.TemporaryDirectory()
    corpus = Path(place.name) / "corpus"
    corpus.mkdir()
    for number, data in enumerate(doors.seeds(asked.door)):
        (corpus / str(number)).write_bytes(data)

    def one(data: bytes) -> None:
        counts["accepted" if doors.tried(asked.door, Path(place.name), data) == "accepted" else "sentence"] += 1
        if (n := sum(counts.values())) % TOLD == 0:
            told = f"{counts['sentence']:,} sentences, {counts['accepted']:,} accepted"
            print(f"{asked.door}: {n:,} inputs, {told}", flush=True)

    limits = [
        f"-max_total_time={asked.seconds}",
        "-timeout=20",
        "-rss_limit_mb=6000",
        "-verbosity=0",
        "-print_final_stats=1",
    ]
    atheris.Setup([sys.argv[0], *limits, str(corpus)], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
