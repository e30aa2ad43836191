"""The tabs of the screen of one run; each module is imported when its tab is first shown."""
