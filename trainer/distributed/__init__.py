"""Training one run on several devices: one process each, that PyTorch's launcher starts and its engine connects.

Every rank holds the same weights and a share of each batch. What a rank computes on its share is put together again
before the loss, so that the run is that of one process with the whole batch, within float error.
"""
