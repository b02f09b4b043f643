"""What runs inside the sandbox.  ``launch`` and ``filter`` need nothing but the standard library."""
