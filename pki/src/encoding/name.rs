//! Subject names, in the string types and the order that Go writes.

use der::asn1::{Any, ObjectIdentifier, PrintableStringRef, SetOfVec, Utf8StringRef};
use der::{Encode, Tag};
use x509_cert::attr::AttributeTypeAndValue;

use crate::PkiError;

const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
const ORGANIZATION: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.10");

/// Returns the DER of a name: all organizations in one set, then the common name.
///
/// The order and the single set are those of Go's `pkix.Name`.
pub(crate) fn encode_name(
    common_name: &str,
    organizations: &[String],
) -> Result<Vec<u8>, PkiError> {
    let encode = || {
        let mut name: Vec<SetOfVec<AttributeTypeAndValue>> = Vec::new();
        if !organizations.is_empty() {
            let mut distinct = organizations.to_vec();
            distinct.sort();
            distinct.dedup();
            let attributes = distinct
                .iter()
                .map(|organization| attribute(ORGANIZATION, organization))
                .collect::<der::Result<Vec<_>>>()?;
            name.push(SetOfVec::try_from(attributes)?);
        }
        name.push(SetOfVec::try_from(vec![attribute(
            COMMON_NAME,
            common_name,
        )?])?);
        name.to_der()
    };
    encode().map_err(PkiError::encode("the subject"))
}

fn attribute(oid: ObjectIdentifier, text: &str) -> der::Result<AttributeTypeAndValue> {
    let value = if PrintableStringRef::new(text).is_ok() {
        Any::new(Tag::PrintableString, text.as_bytes())?
    } else {
        Any::encode_from(&Utf8StringRef::new(text)?)?
    };
    Ok(AttributeTypeAndValue { oid, value })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hex::to_hex;

    #[test]
    fn plain_text_is_printable_and_anything_else_is_utf8() {
        // Name, set, attribute, object identifier: eleven octets stand before the value's tag.
        let printable = encode_name("system:node:cp-1", &[]).unwrap();
        let utf8 = encode_name("team_a", &[]).unwrap();
        assert_eq!(printable[11], 0x13);
        assert_eq!(utf8[11], 0x0c);
    }

    #[test]
    fn several_organizations_share_one_set_before_the_common_name() {
        let organizations = ["b".to_owned(), "a".to_owned(), "b".to_owned()];
        let name = encode_name("c", &organizations).unwrap();
        let expected = [
            "3022",
            "3114",
            "3008060355040a130161",
            "3008060355040a130162",
            "310a",
            "30080603550403130163",
        ];
        assert_eq!(to_hex(&name), expected.concat());
    }
}
