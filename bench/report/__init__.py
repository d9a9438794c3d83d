"""Records as one self-contained HTML page that needs no network and runs no script."""
