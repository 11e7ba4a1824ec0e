"""What stays on this machine: the windows to restore, and the operating system's keyring."""
