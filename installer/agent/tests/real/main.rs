//! The agent's clients against the real programs: run with the feature `real`
//! and `SLIPWAY_TEST_BIN` naming a folder with those programs.

#[cfg(test)]
mod control_plane;
#[cfg(test)]
mod kubernetes_story;
#[cfg(test)]
mod programs;
