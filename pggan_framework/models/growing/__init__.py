"""A trained model as the start of another one: what fits is kept, what differs is mapped, one file for each mapping."""
