"""Every order of events on a small fleet: the real plan, carried out step by step, in all interleavings.

A state is Git, the home, each cluster and the daemon's memory. In each the plan is asked, and any one of its
answers may be the next step; so may what clusters do by themselves (claim, apply, become current, soak, fail),
the task that commits, people (merge a second release, lift its rejection), and a crash, which takes orders, soaks
and owed commits out of memory. The second release may fail in one environment, whichever that is, on any of its
clusters and at any time.

What is made smaller, and why that hides nothing here:

* Time is what decides: a soak is over or not, a watch is over or not. Deadlines only page, and never pass. What
  soaks is current from the start, and what never fails is not watched.
* Clusters of one wave are told apart by nothing, so that only how many of them are in a state counts.
* An order that changes a cluster's record alone writes no object: where nothing else waits there it is done at
  once, before all else.
* What an environment looks at of those before it is their records and whether they fail; one state in a thousand
  is planned whole, too, and has the same plan.
* Where an environment has one cluster it is read at once after a crash, unless a fleet `reads`: unread, it could
  only wait.

Left out: a home or a cluster that does not answer, refused pushes, fuses, `paused`, two daemons, an action that is
done by a plan which is no longer the newest, and a crash in the middle of a step. `tests/simulation` and
`tests/cluster` have those.
"""
