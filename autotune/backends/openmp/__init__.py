"""OpenMP runtimes: what several engines share of them."""
