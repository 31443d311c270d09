//! The use-cases: gathers facts, plans, runs a plan across hosts, keeps journal and lock.
