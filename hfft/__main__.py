"""`python -m hfft`, for launchers that want a module: `torchrun --nproc_per_node 2 -m hfft run NAME`."""

from hfft.cli import main

main()
