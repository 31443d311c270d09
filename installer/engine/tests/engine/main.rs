//! Runs against fake hosts, which die, hang and refuse where they are told to.

#[cfg(test)]
mod agreement;
#[cfg(test)]
mod control_planes;
#[cfg(test)]
mod cuts;
#[cfg(test)]
mod damaged_lines;
#[cfg(test)]
mod departures;
#[cfg(test)]
mod fakes;
#[cfg(test)]
mod fifty_hosts;
#[cfg(test)]
mod local_joins;
#[cfg(test)]
mod lost_hosts;
#[cfg(test)]
mod probes;
#[cfg(test)]
mod recoveries;
#[cfg(test)]
mod removals;
#[cfg(test)]
mod restores;
#[cfg(test)]
mod runs;
#[cfg(test)]
#[path = "../../../planner/tests/planner/support.rs"]
mod support;
#[cfg(test)]
mod upgrades;
