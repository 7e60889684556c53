"""`python -m autotune` is `autotune`."""

from autotune.cli.start import main

main()
