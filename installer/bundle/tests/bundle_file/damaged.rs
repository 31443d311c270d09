//! What is refused.

use std::os::unix::fs::FileExt;
use std::path::Path;

use proptest::prelude::*;
use slipway_api::{Architecture, Sha256Digest};
use slipway_bundle::{BlobStore, Bundle, BundleError};
use tokio::io::AsyncReadExt;

use crate::sample::{
    BLOCK, Entry, block_on, entries, entry, file, join, open_error, read_error, sample, sink,
    with_manifest, write_file,
};

#[test]
fn files_that_are_no_bundles_are_refused() {
    for bytes in [
        &b""[..],
        b"x",
        &[0; 4096],
        &[7; 4096],
        b"PK\x03\x04",
        &[0x1f, 0x8b, 8],
    ] {
        let error = open_error(bytes);
        assert!(matches!(error, BundleError::NotABundle { .. }), "{error}");
    }
    assert!(matches!(
        Bundle::open(Path::new("/")),
        Err(BundleError::NotABundle { .. })
    ));
    let folder = tempfile::tempdir().unwrap();
    let missing = Bundle::open(&folder.path().join("none")).err().unwrap();
    assert!(missing.to_string().starts_with("cannot read "), "{missing}");
}

#[test]
fn another_format_says_what_to_do() {
    let bytes = with_manifest(|text| text.replacen("\"format\": 1", "\"format\": 2", 1));
    let error = open_error(&bytes);
    assert!(
        error
            .to_string()
            .ends_with("has bundle format 2; this build reads 1"),
        "{error}"
    );
    assert!(
        error
            .help_text()
            .unwrap()
            .contains("use the slipway that made the bundle")
    );
}

#[test]
fn a_cut_file_names_what_is_cut_wherever_it_is_cut() {
    let sample = sample();
    for length in (BLOCK..sample.len()).step_by(251).chain([sample.len() - 1]) {
        let error = open_error(&sample[..length]);
        assert!(
            matches!(error, BundleError::Truncated { .. }),
            "{length}: {error}"
        );
    }
    let kubelet = entries(sample)
        .iter()
        .take(2)
        .map(|(_, bytes)| bytes.len())
        .sum::<usize>();
    let error = open_error(&sample[..kubelet + BLOCK + 10]).to_string();
    assert!(error.contains("of kubelet v1.36.3 (amd64)"), "{error}");
}

#[test]
fn a_missing_blob_is_named_with_its_owner() {
    let mut all = entries(sample());
    let (name, _) = all.remove(4);
    let error = open_error(&join(&all));
    assert!(matches!(error, BundleError::MissingBlob { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains(name.rsplit('/').next().unwrap()), "{text}");
    assert!(text.ends_with("of kubectl v1.36.3 (amd64)"), "{text}");
}

#[test]
fn entries_that_no_bundle_has_are_refused() {
    let all = entries(sample());
    let other = format!("blobs/sha256/{}", Sha256Digest::of("other"));
    let upper = all[2]
        .0
        .to_uppercase()
        .replace("BLOBS/SHA256", "blobs/sha256");
    let with = |extra: Entry| {
        let mut all = all.clone();
        all.insert(3, extra);
        all
    };
    let mut twice_at_the_end = all.clone();
    twice_at_the_end.push(all[2].clone());
    for (entries, expected) in [
        (with(all[2].clone()), "is in it twice"),
        (twice_at_the_end, "is in it twice"),
        (
            with(file(&other, b"other")),
            "which its manifest does not name",
        ),
        (with(file("../../etc/passwd", b"x")), "which no bundle has"),
        (with(file("/etc/passwd", b"x")), "which no bundle has"),
        (with(file("blobs/sha256/../x", b"x")), "which no bundle has"),
        (
            with(file("manifest.json", b"{}")),
            "which its manifest does not name",
        ),
        (with(file(&upper, b"x")), "which no bundle has"),
        (
            with(entry(&other, b"", 0, tar::EntryType::Symlink)),
            "is not as slipway writes it",
        ),
    ] {
        let error = open_error(&join(&entries));
        assert!(matches!(error, BundleError::OddEntry { .. }), "{error}");
        assert!(error.to_string().contains(expected), "{expected}: {error}");
    }
    let mut longer = sample().to_vec();
    longer.push(0);
    assert!(matches!(open_error(&longer), BundleError::OddEntry { .. }));
}

#[test]
fn blobs_of_another_size_are_refused() {
    let mut all = entries(sample());
    all[2] = file(&all[2].0.clone(), b"short");
    let error = open_error(&join(&all)).to_string();
    assert!(
        error.contains("kubelet v1.36.3 (amd64) with 5 bytes instead of 3000"),
        "{error}"
    );
    // Sizes near the limit of 64 bits must not overflow anything.
    for size in [u64::MAX, u64::MAX - 600, 1 << 62] {
        let mut all = entries(sample());
        all[2] = entry(&all[2].0.clone(), b"short", size, tar::EntryType::Regular);
        open_error(&join(&all));
        let digits = format!("\"size\": {size}");
        open_error(&with_manifest(|text| {
            text.replacen("\"size\": 3000", &digits, 1)
        }));
    }
}

#[test]
fn manifests_that_are_too_long_or_nonsense_are_refused() {
    let long = entry(
        "manifest.json",
        b"{",
        (16 << 20) + 1,
        tar::EntryType::Regular,
    );
    assert!(matches!(
        open_error(&join(&[long])),
        BundleError::ManifestTooLong { .. }
    ));
    for text in ["{}", "", "[1]", "{\"format\": 1}"] {
        let error = open_error(&with_manifest(|_| text.to_owned()));
        assert!(
            matches!(error, BundleError::DamagedManifest { .. }),
            "{text}: {error}"
        );
    }
    let error = open_error(&with_manifest(|text| text.replace("\"amd64\"", "\"mips\"")));
    assert!(error.to_string().contains("mips"), "{error}");
}

#[test]
fn a_flipped_byte_fails_the_read_and_the_verification_by_name() {
    let mut bytes = sample().to_vec();
    let start = entries(&bytes)
        .iter()
        .take(2)
        .map(|(_, bytes)| bytes.len())
        .sum::<usize>();
    bytes[start + BLOCK + 100] ^= 1;
    let (_folder, path) = write_file(&bytes);
    let bundle = Bundle::open(&path).unwrap();
    block_on(async {
        let kubelet = bundle
            .manifest()
            .any_artifact("kubelet", Architecture::Amd64)
            .unwrap()
            .blob;
        let mut reader = bundle.open(&kubelet).await.unwrap();
        let error = read_error(reader.read_to_end(&mut Vec::new()).await.unwrap_err());
        assert!(matches!(error, BundleError::DamagedBlob { .. }), "{error}");
        let errors = bundle.verify(&sink()).await.unwrap_err();
        assert_eq!(errors.len(), 1);
        let text = errors[0].to_string();
        assert!(text.contains(&kubelet.sha256.to_string()), "{text}");
        assert!(
            text.contains("of kubelet v1.36.3 (amd64) is damaged"),
            "{text}"
        );
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn any_flipped_byte_is_detected(offset in 0..sample().len(), flip in 1..=255_u8) {
        let (_folder, path) = write_file(sample());
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        file.write_all_at(&[sample()[offset] ^ flip], offset as u64).unwrap();
        let is_detected = match Bundle::open(&path) {
            Err(_) => true,
            Ok(bundle) => block_on(bundle.verify(&sink())).is_err(),
        };
        prop_assert!(is_detected, "byte {offset}");
    }

    #[test]
    fn a_damaged_manifest_is_refused_or_read_and_never_panics(
        at in any::<prop::sample::Index>(),
        length in 0_usize..80,
        insert in prop_oneof!["[ -~]{0,8}".boxed(), prop::sample::select(ODD_VALUES).prop_map(str::to_owned).boxed()],
    ) {
        open_damaged(|text| {
            let at = at.index(text.len());
            let end = (at + length).min(text.len());
            format!("{}{insert}{}", &text[..at], &text[end..])
        });
    }

    #[test]
    fn a_manifest_with_any_odd_value_is_refused_or_read_and_never_panics(
        field in any::<prop::sample::Index>(),
        odd in prop::sample::select(ODD_VALUES),
    ) {
        open_damaged(|text| {
            let mut manifest: serde_json::Value = serde_json::from_str(&text).expect("it is JSON");
            let mut fields = Vec::new();
            add_fields(&manifest, "", &mut fields);
            let field = &fields[field.index(fields.len())];
            let value = manifest.pointer_mut(field).expect("it is there");
            *value = serde_json::from_str(odd).expect("odd values are JSON");
            serde_json::to_string_pretty(&manifest).expect("it is JSON")
        });
    }
}

/// What a parser may stumble over, each of it JSON.
const ODD_VALUES: &[&str] = &[
    "0",
    "-1",
    "1.5",
    "18446744073709551615",
    "18446744073709551616",
    "null",
    "true",
    "[]",
    "[[]]",
    "{}",
    "\"\"",
    "\"../../etc/passwd\"",
    "\"/etc/passwd\"",
    "\"a\\u0000b\"",
    "\"registry.k8s.io/\"",
    "\"v1.36.3\"",
    "\"0000000000000000000000000000000000000000000000000000000000000000\"",
];

/// Opens the sample with another manifest whose checksum is right; where it opens, all of it
/// can be looked at.
fn open_damaged(edit: impl Fn(String) -> String) {
    let (_folder, path) = write_file(&with_manifest(edit));
    match Bundle::open(&path) {
        Err(error) => {
            assert!(!error.to_string().is_empty());
            let _ = error.help_text();
        }
        Ok(bundle) => {
            let blobs = bundle.manifest().blobs();
            assert!(blobs.len() < entries(sample()).len());
            for error in block_on(bundle.verify(&sink())).err().into_iter().flatten() {
                assert!(!error.to_string().is_empty());
            }
        }
    }
}

/// Adds the pointers to all values of `value`, itself included.
fn add_fields(value: &serde_json::Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    if let Some(list) = value.as_array() {
        for (index, value) in list.iter().enumerate() {
            add_fields(value, &format!("{at}/{index}"), found);
        }
    }
    for (key, value) in value.as_object().into_iter().flatten() {
        add_fields(value, &format!("{at}/{key}"), found);
    }
}
