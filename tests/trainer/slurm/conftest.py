"""A cluster for these tests."""

from tests.slurm_programs import slurm as slurm
