"""One cluster's API server through the official client; modules here may not know the env repo, plans or records."""
