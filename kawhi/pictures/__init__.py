"""One file, one picture: the pixels that every road to a model begins with."""
