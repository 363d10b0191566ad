"""Growth schedules: registered components, each of which creates a plan."""
