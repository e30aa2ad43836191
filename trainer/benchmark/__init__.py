"""The benchmark job: trials of settings, taken in turns on the training device."""
