//! Lays a user's configuration over the defaults.

use serde_json::Value;

use crate::TemplateError;

/// Returns `base` with `overlay` laid over it: maps merge key by key, anything else
/// replaces what was there.
///
/// Null means "not set", as in Kubernetes' own types, and leaves the base alone.
///
/// ```
/// use serde_json::json;
/// use slipway_templates::merge;
///
/// let merged = merge(json!({"a": {"b": 1, "c": [1]}}), json!({"a": {"c": [2], "b": null}}));
/// assert_eq!(merged, json!({"a": {"b": 1, "c": [2]}}));
/// ```
pub fn merge(base: Value, overlay: Value) -> Value {
    match (base, overlay) {
        (base, Value::Null) => base,
        (Value::Object(mut base), Value::Object(overlay)) => {
            for (key, value) in overlay {
                let merged = match base.remove(&key) {
                    Some(existing) => merge(existing, value),
                    None => value,
                };
                base.insert(key, merged);
            }
            Value::Object(base)
        }
        (_, overlay) => overlay,
    }
}

/// Returns the defaults of a `kind` of document with the user's document over them.
pub(crate) fn overlaid(
    kind: &'static str,
    defaults: Value,
    overlay: Option<&Value>,
) -> Result<Value, TemplateError> {
    match overlay {
        None => Ok(defaults),
        Some(overlay) if overlay.is_object() => Ok(merge(defaults, overlay.clone())),
        Some(overlay) => Err(TemplateError::InvalidValue {
            field: kind.to_owned(),
            value: overlay.to_string(),
            reason: "it is no map",
        }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn maps_merge_deeply_and_others_replace() {
        for (base, overlay, merged) in [
            (json!(1), json!(2), json!(2)),
            (json!({"a": 1}), json!({}), json!({"a": 1})),
            (json!({"a": 1}), json!({"a": null}), json!({"a": 1})),
            (json!({"a": 1}), json!({"a": 0}), json!({"a": 0})),
            (json!({"a": [1, 2]}), json!({"a": []}), json!({"a": []})),
            (json!({"a": {"b": 1}}), json!({"a": 2}), json!({"a": 2})),
            (
                json!({"a": 2}),
                json!({"a": {"b": 1}}),
                json!({"a": {"b": 1}}),
            ),
            (
                json!({"a": {"b": {"c": 1}}}),
                json!({"a": {"b": {"d": 2}}, "e": 3}),
                json!({"a": {"b": {"c": 1, "d": 2}}, "e": 3}),
            ),
        ] {
            assert_eq!(merge(base, overlay), merged);
        }
    }
}
