//! Fields that our document and kubeadm's both have.

use super::problems::{Located, Problems};
use super::value::Value;

/// What the two documents say about one field.
pub(super) enum Given<T> {
    /// Nothing.
    Absent,
    /// Something that could not be read.
    Unreadable,
    /// This.
    Value(Located<T>),
}

/// Reads a field of our document and the same of kubeadm's; reports the latter
/// where they say different things.
pub(super) fn read_given<T: PartialEq>(
    ours: Option<Value<'_>>,
    theirs: Option<Value<'_>>,
    our_name: &str,
    read: impl Fn(&Value<'_>, &mut Problems) -> Option<T>,
    problems: &mut Problems,
) -> Given<T> {
    let mut located = |value: Option<&Value<'_>>| {
        value.map(|value| read(value, problems).map(|found| value.located(found)))
    };
    let (our_value, their_value) = (located(ours.as_ref()), located(theirs.as_ref()));
    match (our_value, their_value) {
        (None, None) => Given::Absent,
        (Some(None), _) | (_, Some(None)) => Given::Unreadable,
        (Some(Some(found)), None) | (None, Some(Some(found))) => Given::Value(found),
        (Some(Some(ours)), Some(Some(theirs))) => {
            if ours.value != theirs.value {
                let name = &theirs.place.name;
                problems.report(
                    &theirs.place,
                    format!(
                        "`{name}` says something else than `{our_name}` on line {}",
                        ours.place.mark.line
                    ),
                    format!("remove `{name}`: `{our_name}` says it"),
                );
            }
            Given::Value(ours)
        }
    }
}

impl<T> Given<T> {
    /// Returns the value, or `default` where nothing is said; none for what
    /// could not be read.
    pub fn or(self, default: T) -> Option<T> {
        match self {
            Self::Absent => Some(default),
            Self::Unreadable => None,
            Self::Value(found) => Some(found.value),
        }
    }
}
