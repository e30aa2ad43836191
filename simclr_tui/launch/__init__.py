"""What a person fills in before something starts: runs, sweeps, forks, evaluations, and what they will take."""
