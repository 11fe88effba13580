"""Front door of `accelerate launch hfft/run.py --recipe NAME`: exactly `hfft run NAME`, on every process.

Run as a script, Python puts this file's folder first on the path, where `import datasets` could meet a file of ours.
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    here = Path(__file__).resolve().parent
    sys.path[:] = [str(here.parent), *(entry for entry in sys.path if Path(entry).resolve() != here)]

from hfft.cli import main

if __name__ == "__main__":
    if not sys.argv[1:2] or sys.argv[1].startswith("-"):
        sys.argv.insert(1, "run")
    main()
