//! Where two documents differ in meaning.

use serde_json::{Map, Value};

/// Where ours and theirs differ.
#[derive(Default)]
pub struct Differences(pub Vec<String>);

impl Differences {
    /// Compares in depth. A field that is absent equals one with Go's zero value,
    /// which is how kubeadm writes what is not set.
    pub fn compare(&mut self, at: &str, ours: &Value, theirs: &Value) {
        match (ours, theirs) {
            (Value::Object(a), Value::Object(b)) => {
                let mut keys: Vec<&String> = a.keys().chain(b.keys()).collect();
                keys.sort_unstable();
                keys.dedup();
                for key in keys {
                    let at = format!("{at}.{key}");
                    let side = |map: &Map<String, Value>| map.get(key).cloned().unwrap_or_default();
                    self.compare(&at, &side(a), &side(b));
                }
            }
            (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
                for (index, (ours, theirs)) in a.iter().zip(b).enumerate() {
                    self.compare(&format!("{at}[{index}]"), ours, theirs);
                }
            }
            (_, _) if ours == theirs || (is_zero(ours) && is_zero(theirs)) => {}
            (_, _) => self
                .0
                .push(format!("{at}: ours {ours}, kubeadm's {theirs}")),
        }
    }
}

fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => matches!(text.as_str(), "" | "0" | "0s"),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.values().all(is_zero),
    }
}
