//! Reaches a host: over SSH, locally in-process, or as a fake for tests.
