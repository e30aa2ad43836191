"""The views in a few passes over memory: a table of a whole epoch's parameters, and the passes that read it.

table     the parameters of all views of an epoch as one tensor, which can stay on the device
plain     the passes in PyTorch with static shapes: the definition of what the others compute
grouped   the same on a CPU, in groups of views that need the same work
kernels   the same in Triton, for CUDA
views     chooses one of them
"""
