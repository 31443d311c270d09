//! Environment variables of containers.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

/// One environment variable of a container.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EnvVar {
    /// The variable's name.
    pub name: String,
    /// Its value; empty together with `value_from`.
    pub value: String,
    /// A Kubernetes `EnvVarSource` instead of a value.
    pub value_from: Option<Value>,
}

impl EnvVar {
    /// Returns a variable with a plain value.
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            value: value.into(),
            value_from: None,
        }
    }
}

/// Returns the variables sorted by name; of several with one name the last stays.
pub(crate) fn merged(variables: &[EnvVar]) -> Vec<EnvVar> {
    let by_name: BTreeMap<&str, &EnvVar> = variables
        .iter()
        .map(|variable| (variable.name.as_str(), variable))
        .collect();
    by_name.into_values().cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_variable_replaces_an_earlier_one_of_the_same_name() {
        let proxy = EnvVar::new("NO_PROXY", "a");
        let user = EnvVar::new("NO_PROXY", "b");
        let other = EnvVar::new("A", "1");
        assert_eq!(merged(&[proxy, user.clone(), other.clone()]), [other, user]);
    }
}
