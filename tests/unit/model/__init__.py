"""The pure part: tables of values in and values out."""
