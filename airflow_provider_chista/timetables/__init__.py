"""Timetables: when the run of a range of rows starts."""
