"""The only room that knows remote and local: it keeps what is shown equal to what the server has."""
