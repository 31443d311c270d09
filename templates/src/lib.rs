//! Renders every file and object that Slipway writes, from typed contexts.
