"""What stays on this machine: an encrypted file for each tenant, its key, open windows, credentials, the keyring."""
