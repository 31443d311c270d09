//! Project chores: architecture check, the test mirror.

fn main() {}
