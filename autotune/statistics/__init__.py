"""From numbers to what may be said of them: bounds of percentiles, paired ratios, tests under repeated looks.

Pure functions of floats; nothing here knows of trials, configurations or plans.
"""
