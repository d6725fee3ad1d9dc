"""The env repo over pygit2: nothing here may know clusters, pins or what a commit means."""
