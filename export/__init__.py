"""From a reference network to a verified artifact."""
