"""Runs seeds on all cores; see docs/simulation.md."""

from tests.simulation.fleet.runs import main

if __name__ == "__main__":
    main()
