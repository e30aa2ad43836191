"""Tells a person elsewhere what becomes of a run: by a webhook, e-mail or chat, through Apprise.

The trainer starts one small process, the messenger, and does nothing more for it. The messenger reads the store as the
dashboard does, outlives the trainer, so that it can tell of one that was killed, and sends by a short-lived process of
its own, so that no server can hold anything up.
"""
