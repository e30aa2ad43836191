"""Runs as jobs of a Slurm cluster, by its own programs: sbatch, squeue, scancel and scontrol.

Slurm keeps the queue and the machines; the run is in the store from its submission on, and the job's script starts its
trainer, which saves at signals and goes on by itself. Nothing more of a launcher such as submitit would be used here:
it pickles a function, and brings a folder of its own for the state that the store has.
"""
