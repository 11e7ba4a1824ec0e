"""What the reviewer sees: widgets that draw what view-models hold and forward what the reviewer intends."""
