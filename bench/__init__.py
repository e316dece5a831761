"""Side-by-side measurements of shellenv, direnv and mise, by `make bench`."""
