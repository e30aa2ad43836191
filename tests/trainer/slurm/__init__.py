"""Tests of runs as jobs of Slurm."""
