"""`python -m shellenv`."""

from shellenv.cli import program

program()
