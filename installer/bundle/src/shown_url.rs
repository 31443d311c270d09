//! URLs as people may see them.

use reqwest::Url;

/// Returns `url` without user name, password, query and fragment: any of these may be a secret.
pub(crate) fn shown_url(url: &str) -> String {
    match Url::parse(url) {
        Ok(mut parsed) => {
            // Both fail only for URLs that cannot have credentials at all.
            let _ = parsed.set_username("");
            let _ = parsed.set_password(None);
            parsed.set_query(None);
            parsed.set_fragment(None);
            parsed.to_string()
        }
        Err(_) => "an invalid URL".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_in_urls_are_not_shown() {
        assert_eq!(
            shown_url("https://me:secret@mirror.example/a?token=secret#x"),
            "https://mirror.example/a"
        );
    }
}
