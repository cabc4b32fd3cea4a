"""The deferrable halves of the sensors."""
