"""Runs taken out of the store and brought into one: tables, event files, archives. Only `encoder` needs torch."""
