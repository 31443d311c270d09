//! JSON Patch (RFC 6902): six operations on a document.

use serde::Deserialize;
use serde_json::Value;

/// One operation. Paths are JSON Pointers (RFC 6901).
#[derive(Debug, Deserialize)]
#[serde(tag = "op", rename_all = "lowercase")]
enum Operation {
    Add { path: String, value: Value },
    Remove { path: String },
    Replace { path: String, value: Value },
    Move { from: String, path: String },
    Copy { from: String, path: String },
    Test { path: String, value: Value },
}

/// Applies a patch to a document; the document is of no use after an error.
///
/// # Errors
///
/// Returns what is wrong with the patch, or which operation does not fit.
pub(crate) fn apply(document: &mut Value, patch: &Value) -> Result<(), String> {
    let operations = patch
        .as_array()
        .ok_or("it is no JSON Patch: it must be a list of operations")?;
    for (index, operation) in operations.iter().enumerate() {
        let told = |reason: String| format!("operation {}: {reason}", index + 1);
        let operation = Operation::deserialize(operation).map_err(|error| told(error.to_string()));
        operate(document, operation?).map_err(told)?;
    }
    Ok(())
}

fn operate(document: &mut Value, operation: Operation) -> Result<(), String> {
    match operation {
        Operation::Add { path, value } => add(document, &path, value),
        Operation::Remove { path } => remove(document, &path).map(drop),
        Operation::Replace { path, value } => {
            let found = document.pointer_mut(&path);
            *found.ok_or_else(|| nothing_at(&path))? = value;
            Ok(())
        }
        Operation::Move { from, path } => {
            if path.starts_with(&format!("{from}/")) {
                return Err(format!("`{from}` cannot be moved into itself"));
            }
            let value = remove(document, &from)?;
            add(document, &path, value)
        }
        Operation::Copy { from, path } => {
            let value = document.pointer(&from).cloned();
            add(document, &path, value.ok_or_else(|| nothing_at(&from))?)
        }
        Operation::Test { path, value } => match document.pointer(&path) {
            Some(found) if *found == value => Ok(()),
            Some(found) => Err(format!("`{path}` is {found}, not {value}")),
            None => Err(nothing_at(&path)),
        },
    }
}

fn add(document: &mut Value, path: &str, value: Value) -> Result<(), String> {
    let Some((above, key)) = split(path)? else {
        *document = value;
        return Ok(());
    };
    match document.pointer_mut(above) {
        Some(Value::Object(fields)) => {
            fields.insert(key, value);
            Ok(())
        }
        Some(Value::Array(items)) if key == "-" => {
            items.push(value);
            Ok(())
        }
        Some(Value::Array(items)) => {
            let place = index(&key).filter(|index| *index <= items.len());
            items.insert(place.ok_or_else(|| nothing_at(path))?, value);
            Ok(())
        }
        Some(_) | None => Err(nothing_at(above)),
    }
}

fn remove(document: &mut Value, path: &str) -> Result<Value, String> {
    let Some((above, key)) = split(path)? else {
        return Err("the whole document cannot be removed".to_owned());
    };
    let removed = match document.pointer_mut(above) {
        Some(Value::Object(fields)) => fields.remove(&key),
        Some(Value::Array(items)) => {
            let place = index(&key).filter(|index| *index < items.len());
            place.map(|index| items.remove(index))
        }
        Some(_) | None => None,
    };
    removed.ok_or_else(|| nothing_at(path))
}

/// Splits a pointer into the one above and the last key; none for the document.
fn split(path: &str) -> Result<Option<(&str, String)>, String> {
    if path.is_empty() {
        return Ok(None);
    }
    let (above, key) = path
        .rsplit_once('/')
        .filter(|_| path.starts_with('/'))
        .ok_or_else(|| format!("`{path}` does not begin with `/`"))?;
    Ok(Some((above, key.replace("~1", "/").replace("~0", "~"))))
}

/// Returns a list's index; it has no leading zero and no sign.
fn index(key: &str) -> Option<usize> {
    let is_plain = key.bytes().all(|byte| byte.is_ascii_digit());
    let is_canonical = key == "0" || !key.starts_with('0');
    key.parse().ok().filter(|_| is_plain && is_canonical)
}

fn nothing_at(path: &str) -> String {
    format!("there is nothing at `{path}`")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The examples of RFC 6902's appendix A that can be told in a line each.
    #[test]
    fn the_examples_of_the_standard_hold() {
        for (before, operation, after) in [
            (
                json!({"foo": "bar"}),
                json!({"op": "add", "path": "/baz", "value": "qux"}),
                json!({"baz": "qux", "foo": "bar"}),
            ),
            (
                json!({"foo": ["bar", "baz"]}),
                json!({"op": "add", "path": "/foo/1", "value": "qux"}),
                json!({"foo": ["bar", "qux", "baz"]}),
            ),
            (
                json!({"baz": "qux", "foo": "bar"}),
                json!({"op": "remove", "path": "/baz"}),
                json!({"foo": "bar"}),
            ),
            (
                json!({"foo": ["bar", "qux", "baz"]}),
                json!({"op": "remove", "path": "/foo/1"}),
                json!({"foo": ["bar", "baz"]}),
            ),
            (
                json!({"baz": "qux"}),
                json!({"op": "replace", "path": "/baz", "value": "boo"}),
                json!({"baz": "boo"}),
            ),
            (
                json!({"foo": {"bar": "baz", "waldo": "fred"}, "qux": {"corge": "grault"}}),
                json!({"op": "move", "from": "/foo/waldo", "path": "/qux/thud"}),
                json!({"foo": {"bar": "baz"}, "qux": {"corge": "grault", "thud": "fred"}}),
            ),
            (
                json!({"foo": ["all", "grass", "cows", "eat"]}),
                json!({"op": "move", "from": "/foo/1", "path": "/foo/3"}),
                json!({"foo": ["all", "cows", "eat", "grass"]}),
            ),
            (
                json!({"a": [1]}),
                json!({"op": "copy", "from": "/a/0", "path": "/a/-"}),
                json!({"a": [1, 1]}),
            ),
            (
                json!({"foo": "bar"}),
                json!({"op": "add", "path": "/child", "value": {"grandchild": {}}}),
                json!({"foo": "bar", "child": {"grandchild": {}}}),
            ),
            (
                json!({"/": 9, "~1": 10}),
                json!({"op": "test", "path": "/~01", "value": 10}),
                json!({"/": 9, "~1": 10}),
            ),
            (
                json!({"foo": ["bar"]}),
                json!({"op": "add", "path": "/foo/-", "value": ["abc", "def"]}),
                json!({"foo": ["bar", ["abc", "def"]]}),
            ),
            (
                json!({"foo": null}),
                json!({"op": "replace", "path": "", "value": 1}),
                json!(1),
            ),
        ] {
            let mut document = before;
            let patch = json!([operation]);
            assert_eq!(apply(&mut document, &patch), Ok(()), "{patch}");
            assert_eq!(document, after, "{patch}");
        }
    }

    #[test]
    fn what_does_not_fit_is_told_with_its_number() {
        for (operation, reason) in [
            (
                json!({"op": "add", "path": "/a/b/c", "value": 1}),
                "nothing at `/a/b`",
            ),
            (
                json!({"op": "add", "path": "/list/2", "value": 1}),
                "nothing at `/list/2`",
            ),
            (
                json!({"op": "add", "path": "/list/01", "value": 1}),
                "nothing at `/list/01`",
            ),
            (
                json!({"op": "add", "path": "a", "value": 1}),
                "does not begin with `/`",
            ),
            (json!({"op": "add", "path": "/a"}), "missing field `value`"),
            (
                json!({"op": "remove", "path": "/list/-"}),
                "nothing at `/list/-`",
            ),
            (
                json!({"op": "replace", "path": "/b", "value": 1}),
                "nothing at `/b`",
            ),
            (
                json!({"op": "test", "path": "/list/0", "value": "1"}),
                "`/list/0` is 1, not \"1\"",
            ),
            (
                json!({"op": "move", "from": "/list", "path": "/list/0"}),
                "into itself",
            ),
            (
                json!({"op": "explode", "path": "/a"}),
                "unknown variant `explode`",
            ),
        ] {
            let mut document = json!({"a": {}, "list": [1]});
            let patch = json!([{"op": "test", "path": "/a", "value": {}}, operation]);
            let told = apply(&mut document, &patch).expect_err("it does not fit");
            assert!(told.starts_with("operation 2: "), "{told}");
            assert!(told.contains(reason), "{told}");
        }
        assert!(apply(&mut json!({}), &json!({"op": "add"})).is_err());
    }
}
