"""What a process of tests has done before it is forked: see processes.py. Importing this does it."""

import gc

from tests import packaged

packaged.warm()
gc.collect()
gc.freeze()
