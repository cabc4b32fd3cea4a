"""What gates a stage: connector running, snapshot completed, source captured, topic drained, window verified."""
