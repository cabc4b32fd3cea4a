"""Side-by-side measurements of the drain, the proof and the purge on the running stack: ``make bench``."""
