"""What stays on this machine: an encrypted file for each tenant, its key, windows to restore, credentials, the keyring."""
