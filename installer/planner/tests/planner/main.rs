//! The planner from outside: plans as people read them, and preflight's verdicts.

#[cfg(test)]
mod balancers;
#[cfg(test)]
mod changed_files;
#[cfg(test)]
mod changes;
#[cfg(test)]
mod control_planes;
#[cfg(test)]
mod departures;
#[cfg(test)]
mod documented;
#[cfg(test)]
mod external_ca;
#[cfg(test)]
mod local;
#[cfg(test)]
mod plans;
#[cfg(test)]
mod preflight;
#[cfg(test)]
mod recoveries;
#[cfg(test)]
mod removals;
#[cfg(test)]
mod renewals;
#[cfg(test)]
mod restores;
#[cfg(test)]
mod scheduled_snapshots;
#[cfg(test)]
mod static_pods;
#[cfg(test)]
mod support;
#[cfg(test)]
mod upgrades;
