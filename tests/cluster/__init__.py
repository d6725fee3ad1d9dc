"""The main job against real clusters and real Git servers."""
