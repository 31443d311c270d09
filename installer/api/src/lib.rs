//! The data that every part of Slipway shares: the cluster file, facts, steps, plans, events and run state.
