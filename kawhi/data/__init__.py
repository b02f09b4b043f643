"""Data sets -> one parquet schema, verl's."""
