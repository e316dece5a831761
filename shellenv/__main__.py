"""`python -m shellenv`."""

from shellenv.start import program

program()
