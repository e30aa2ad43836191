"""The dashboard in a browser: who may come in, the server, and one process of the dashboard for each open page."""
