"""Everything that trains; runs without a terminal and never imports the dashboard.

The way of one image, module by module:

    data        a split: uint8 images N×3×H×W and labels
    randomness  what belongs to (seed, epoch, index): the permutation, the augmentation's uniforms
    augment     two views x of each image, drawn from those uniforms
    model       h = encoder(x), z = head(h)
    loss        NT-Xent over z
    optim       the update; the learning rate as a function of the step
    loop        next batch → step → log → checkpoint → poll
    evaluate    frozen h and z → kNN and linear accuracy

Around it: config (what may be set), store (what is remembered), process (who is alive), checkpoint (what
survives), control (what was asked for). `python -m trainer.run` ties them together.
"""

import sys

if sys.platform == "win32":
    # Locks, signals and detached processes are POSIX's throughout, and the sentence is worth more than the first import
    # that fails. Text in SystemExit is printed alone, with exit code 1.
    raise SystemExit("simclr-tui: needs Linux or macOS; on Windows use it in WSL 2 (learn.microsoft.com/windows/wsl)")
