"""When the networks grow: each schedule is a registered component that lays out a plan."""
