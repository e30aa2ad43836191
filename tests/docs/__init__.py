"""Tests of the pages: their site, their reference, and everything in them that can be run."""
