//! What runs on a host: gathers facts, checks and applies steps, serves requests on stdio.

pub mod kubernetes;
