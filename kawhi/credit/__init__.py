"""What each response token is worth.  torch only: no trainer, no model, no image."""
