"""The targets: every public file of this folder declares one as `TARGET` (see `edgesr.export.target.Target`)."""
