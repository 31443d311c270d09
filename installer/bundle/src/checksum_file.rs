//! Checksum files as the projects publish them.
//!
//! Read: one bare digest (`kubelet.sha256`), and lines of a digest and a file name, text or
//! binary mark, with or without folders (`SHA256SUMS`, `*.sha256sum`). Lines of any other
//! form are passed over.

use slipway_api::Sha256Digest;

/// Returns the digest that the checksum file `text` gives `file_name`.
pub(crate) fn find_checksum(text: &str, file_name: &str) -> Option<Sha256Digest> {
    let mut bare = None;
    for line in text.lines() {
        let mut fields = line.split_whitespace();
        let Some(Ok(digest)) = fields.next().map(str::parse::<Sha256Digest>) else {
            continue;
        };
        match fields.next() {
            Some(name) => {
                let name = name.trim_start_matches('*');
                if name.rsplit('/').next() == Some(file_name) {
                    return Some(digest);
                }
            }
            None => bare = bare.or(Some(digest)),
        }
    }
    bare
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_published_form_is_read() {
        let right = Sha256Digest::of("right");
        let wrong = Sha256Digest::of("wrong");
        for text in [
            format!("{right}"),
            format!("{right}\n"),
            format!("{wrong}  runc.arm64\n{right} *runc.amd64\n"),
            format!("# comment\n{right}  ./release/runc.amd64\r\n"),
        ] {
            assert_eq!(find_checksum(&text, "runc.amd64"), Some(right), "{text}");
        }
    }

    #[test]
    fn a_checksum_of_another_file_is_none() {
        let text = format!("{}  runc.arm64\n", Sha256Digest::of("x"));
        assert_eq!(find_checksum(&text, "runc.amd64"), None);
        assert_eq!(find_checksum("<html>not found</html>", "runc.amd64"), None);
        assert_eq!(find_checksum("", "runc.amd64"), None);
    }
}
