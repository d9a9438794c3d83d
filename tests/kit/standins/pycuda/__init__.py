"""In place of PyCUDA: the calls that the kit's runner makes, on plain memory. It shows how they are used, not that they work."""
