"""speed: the measurements behind the table of speed and memory figures, one module a room; each measures in the run that prints it."""
