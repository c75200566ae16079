"""Classification at every width: MRL and MRL-E heads, cascades."""
