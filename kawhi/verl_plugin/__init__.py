"""A thin adapter between verl 0.9.1 and the pure rooms; nothing here computes a region, an alignment or a weight."""
