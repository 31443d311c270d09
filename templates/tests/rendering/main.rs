//! What each context renders, as snapshots and as parsed documents.

mod addons;
mod cluster;
mod host_files;
mod sample;
mod static_pods;

use serde_json::Value;

/// Reads one YAML document.
fn parse(text: &str) -> Value {
    serde_saphyr::from_str(text).expect("rendered YAML parses")
}

/// Reads a stream of objects.
fn parse_all(text: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(text).expect("rendered YAML parses")
}

/// Returns the only object of a kind and name.
fn object<'a>(objects: &'a [Value], kind: &str, name: &str) -> &'a Value {
    let mut found = objects
        .iter()
        .filter(|object| object["kind"] == kind && object["metadata"]["name"] == name);
    let object = found.next().expect("the object is rendered");
    assert!(found.next().is_none(), "{kind} {name} is rendered twice");
    object
}
