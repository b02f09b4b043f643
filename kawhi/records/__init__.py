"""Records: the small JSON files that tables, figures and the report are made of; needs pydantic, no model, no verl."""
