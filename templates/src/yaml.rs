//! Reads rendered YAML and writes merged documents.

use serde_json::Value;

use crate::TemplateError;

/// Reads one rendered document.
pub(crate) fn read(template: &'static str, text: &str) -> Result<Value, TemplateError> {
    serde_saphyr::from_str(text).map_err(|source| TemplateError::Parse {
        template,
        source: Box::new(source),
    })
}

/// Writes a document with its keys sorted, as kubeadm does.
pub(crate) fn write(document: &'static str, mut value: Value) -> Result<String, TemplateError> {
    value.sort_all_objects();
    let options = serde_saphyr::ser_options! { prefer_block_scalars: false };
    serde_saphyr::to_string_with_options(&value, options).map_err(|source| TemplateError::Write {
        document,
        source: Box::new(source),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_written_document_reads_back_as_the_same_document() {
        let document = serde_json::json!({
            "strings": ["", "yes", "012", "1e3", "0x1f", "0s", "null", "a: b", "x\ny\n", "12:30"],
            "long": "word ".repeat(60),
            "numbers": [0, -1, 1.5, 4_294_967_296_u64],
            "empty": {"list": [], "map": {}},
            "flags": [true, false],
            "1": {"nested": [{"a": 1, "b": [{"c": "{{ d }}"}]}]},
        });
        let text = write("test", document.clone()).expect("written");
        assert_eq!(read("test", &text).expect("read"), document);
    }
}
