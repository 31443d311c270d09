//! Bundle files: made, opened, damaged.

#[cfg(test)]
mod damaged;
#[cfg(test)]
#[path = "../support/mirror.rs"]
mod mirror;
#[cfg(test)]
mod sample;
#[cfg(test)]
mod whole;
