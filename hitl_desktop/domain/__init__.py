"""What the product is about, in the standard library alone: frozen values, no I/O, no clock."""
