"""The pure part that decides: values in, values out; no clock, random, I/O, logging or globals."""
