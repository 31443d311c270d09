//! Decides, without I/O, what has to happen on which host and why.
