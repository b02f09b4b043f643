"""Questions put to a trained or untrained model without training it.  They know models, regions and credit."""
