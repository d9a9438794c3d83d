"""The rewrites: every public file of this folder declares one as `REWRITE` (see `edgesr.export.rewrite.Rewrite`)."""
