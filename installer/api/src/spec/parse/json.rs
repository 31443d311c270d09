//! Kubernetes' own documents as JSON values, read as kubeadm reads them.
//!
//! kubeadm reads YAML with `sigs.k8s.io/yaml`, that is by YAML 1.1's rules
//! (`go.yaml.in/yaml/v2`, `resolve.go`): `yes` and `on` are booleans, `010`
//! is eight, digits may have `_` between them.

use serde_json::{Number, Value};

use super::problems::{Place, Problems};
use super::tree::{Content, Node, Scalar};

/// Returns `node` as a JSON value; reports numbers that JSON cannot hold.
pub(super) fn to_json(node: &Node, place: &Place, problems: &mut Problems) -> Value {
    match node.content() {
        Content::Scalar(scalar) => scalar_value(scalar).unwrap_or_else(|| {
            problems.report(
                place,
                "this number is infinite or not a number, which no field takes",
                "write another number, or put the text in quotes",
            );
            Value::Null
        }),
        Content::Sequence(items) => items
            .iter()
            .enumerate()
            .map(|(index, item)| to_json(item, &place.item(item.mark, index), problems))
            .collect(),
        Content::Mapping(entries) => {
            let entries = entries.iter().map(|entry| {
                let place = place.field(entry.value.mark, &entry.key);
                (entry.key.clone(), to_json(&entry.value, &place, problems))
            });
            Value::Object(entries.collect())
        }
    }
}

fn scalar_value(scalar: &Scalar) -> Option<Value> {
    if !scalar.plain {
        return Some(Value::String(scalar.text.clone()));
    }
    let value = match scalar.text.as_str() {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            Value::Bool(true)
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            Value::Bool(false)
        }
        ".nan" | ".NaN" | ".NAN" | ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF"
        | "-.inf" | "-.Inf" | "-.INF" => return None,
        text => return number(text).unwrap_or_else(|| Some(Value::String(text.to_owned()))),
    };
    Some(value)
}

/// Returns the number that `text` is, if it is one; `Some(None)` for one that
/// does not fit.
fn number(text: &str) -> Option<Option<Value>> {
    if !text.starts_with(|first: char| first.is_ascii_digit() || "+-.".contains(first)) {
        return None;
    }
    let digits = text.replace('_', "");
    if let Some(integer) = integer(&digits) {
        return Some(Some(Value::Number(integer)));
    }
    let unsigned = digits.strip_prefix(['+', '-']).unwrap_or(&digits);
    let is_float = unsigned.starts_with(|first: char| first.is_ascii_digit() || first == '.');
    let float: f64 = digits.parse().ok().filter(|_| is_float)?;
    // Go writes whole floats without a point, so that integer fields take them.
    let whole = float.trunc() == float && float.abs() < 1e15;
    Some(if whole {
        Some(Value::from(float as i64))
    } else {
        Number::from_f64(float).map(Value::Number)
    })
}

/// Returns the integer that `text` is by the rules of Go's base 0.
fn integer(text: &str) -> Option<Number> {
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(unsigned) => (true, unsigned),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let lower = unsigned.to_ascii_lowercase();
    let (digits, radix) = if let Some(digits) = lower.strip_prefix("0x") {
        (digits, 16)
    } else if let Some(digits) = lower.strip_prefix("0b") {
        (digits, 2)
    } else if let Some(digits) = lower.strip_prefix("0o") {
        (digits, 8)
    } else if lower.len() > 1 && lower.starts_with('0') {
        (&lower[1..], 8)
    } else {
        (lower.as_str(), 10)
    };
    if digits.starts_with(['+', '-']) {
        return None;
    }
    if negative {
        let value = i64::from_str_radix(&format!("-{digits}"), radix).ok()?;
        Some(Number::from(value))
    } else {
        u64::from_str_radix(digits, radix).ok().map(Number::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> Option<Value> {
        let text = text.to_owned();
        scalar_value(&Scalar { text, plain: true })
    }

    #[test]
    fn scalars_mean_what_they_mean_to_kubeadm() {
        for (text, expected) in [
            ("no", Value::Bool(false)),
            ("on", Value::Bool(true)),
            ("010", Value::from(8)),
            ("0x1F", Value::from(31)),
            ("-0b11", Value::from(-3)),
            ("1_000", Value::from(1000)),
            ("1.0", Value::from(1)),
            ("0.5", Value::from(0.5)),
            (".5", Value::from(0.5)),
            ("09", Value::from(9)),
            ("18446744073709551615", Value::from(u64::MAX)),
            ("", Value::Null),
            ("10s", Value::from("10s")),
            ("1.2.3.4", Value::from("1.2.3.4")),
            ("-", Value::from("-")),
            ("+-1", Value::from("+-1")),
            (".", Value::from(".")),
            ("infinity", Value::from("infinity")),
            ("-infinity", Value::from("-infinity")),
            ("50Mi", Value::from("50Mi")),
        ] {
            assert_eq!(plain(text), Some(expected), "{text}");
        }
        assert_eq!(plain(".inf"), None);
        assert_eq!(plain("1e999"), None);
    }
}
