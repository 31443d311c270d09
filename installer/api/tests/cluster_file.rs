//! The cluster file from outside: fixtures with their errors, round trips, and text that nobody would write.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use proptest::prelude::*;
use slipway_api::{
    ClusterFile, ClusterSpec, Cni, LocalContent, LocalFiles, SpecErrors, print_cluster,
    print_defaults,
};

fn fixtures(kind: &str) -> Vec<(String, String)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/cluster");
    let mut files: Vec<(String, String)> = fs::read_dir(folder.join(kind))
        .expect("the fixtures are there")
        .map(|entry| entry.expect("the folder can be listed").path())
        .map(|path| {
            let name = path.file_stem().and_then(|name| name.to_str());
            let name = name.expect("fixtures have plain names").to_owned();
            (name, fs::read_to_string(path).expect("fixtures are text"))
        })
        .collect();
    files.sort();
    files
}

fn fixture(kind: &str, name: &str) -> String {
    let files = fixtures(kind);
    let found = files.into_iter().find(|file| file.0 == name);
    found.expect("the fixture exists").1
}

fn parse(text: &str) -> Result<ClusterSpec, SpecErrors> {
    ClusterFile::parse(text, "cluster.yaml").map(|file| file.spec)
}

/// Files by path, as they would lie beside the cluster file.
struct Folder(&'static [(&'static str, &'static str)]);

impl LocalFiles for Folder {
    fn read(&self, path: &Path, _: u64) -> Result<LocalContent, String> {
        let found = self.0.iter().find(|(name, _)| Path::new(name) == path);
        let (_, text) = found.ok_or("there is no such file")?;
        Ok(LocalContent::File(text.as_bytes().to_vec()))
    }
}

#[test]
fn files_beside_the_cluster_file_are_read_and_checked() {
    let text = fixture("good", "smallest").replace(
        "spec:\n",
        "spec:\n  networking: { cni: { manifests: [cni/crds.yaml, cni/missing.yaml, cni/odd.yaml] } }\n",
    );
    let beside = Folder(&[
        (
            "cni/crds.yaml",
            "{apiVersion: v1, kind: Namespace, metadata: {name: net}}",
        ),
        ("cni/odd.yaml", "kind: Pod"),
    ]);
    let errors =
        ClusterFile::parse_bytes(text.as_bytes(), "cluster.yaml", Some(&beside)).unwrap_err();
    insta::assert_snapshot!(errors);

    let text = text.replace(", cni/missing.yaml, cni/odd.yaml", "");
    let spec = ClusterFile::parse_bytes(text.as_bytes(), "cluster.yaml", Some(&beside))
        .unwrap()
        .spec;
    let Cni::Manifests(manifests) = &spec.networking.cni else {
        panic!("the file names manifests");
    };
    let text = manifests[0].text.as_deref().unwrap();
    assert!(text.ends_with("metadata: {name: net}}\n"), "{text}");
}

#[test]
fn patches_and_files_of_hosts_are_read_and_checked() {
    struct Patched;
    impl LocalFiles for Patched {
        fn read(&self, path: &Path, _: u64) -> Result<LocalContent, String> {
            let file = |name: &str, text: &str| (name.to_owned(), text.as_bytes().to_vec());
            match path.to_str() {
                Some("patches") => Ok(LocalContent::Folder(vec![
                    file("README.md", "what these are"),
                    file("apiserver+json.yaml", "[]"),
                    file("etcd+json.yaml", "{ op: add }"),
                    file("kube-apiserver.yaml", "{}"),
                    file("kube-scheduler+merge.yaml", "a: b\nc: [\n"),
                    file("kubeletconfiguration+merge.yml", "{}"),
                ])),
                Some("policy.yaml") => Ok(LocalContent::File(b"hunter2".to_vec())),
                _ => Err("there is no such file".to_owned()),
            }
        }
    }
    let files = "files: [{ src: policy.yaml, dest: /etc/policy.yaml, mode: 640 }, { src: none, dest: /etc/none }]";
    let text = fixture("good", "smallest")
        .replace("spec:\n", "spec:\n  patches: { directory: patches }\n")
        .replace(
            "role: control-plane }",
            &format!("role: control-plane, {files} }}"),
        );
    let parse =
        |text: &str| ClusterFile::parse_bytes(text.as_bytes(), "cluster.yaml", Some(&Patched));
    insta::assert_snapshot!(parse(&text).unwrap_err());

    let text = text
        .replace("  patches: { directory: patches }\n", "")
        .replace(", { src: none, dest: /etc/none }", "");
    let spec = parse(&text).unwrap().spec;
    let file = &spec.hosts[0].files[0];
    assert_eq!(
        (file.mode, file.content.map(|blob| blob.size)),
        (0o640, Some(7))
    );
    assert!(!format!("{spec:?}").contains("hunter"));
    assert!(print_cluster(&spec).contains("mode: \"0640\""));
}

#[test]
fn bad_files_are_explained() {
    for (name, text) in fixtures("bad") {
        let errors = parse(&text).expect_err(&name).to_string();
        assert!(
            !errors.contains("hunter"),
            "{name} shows a password:\n{errors}"
        );
        insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!(name, errors);
        });
    }
}

#[test]
fn errors_have_a_form_for_programs() {
    let errors = parse(&fixture("bad", "typo")).unwrap_err();
    insta::assert_json_snapshot!(errors);
}

#[test]
fn good_files_survive_being_printed() {
    for (name, text) in fixtures("good") {
        let spec = parse(&text).unwrap_or_else(|errors| panic!("{name}:\n{errors}"));
        let printed = print_cluster(&spec);
        let again = parse(&printed).unwrap_or_else(|errors| panic!("{printed}\n{errors}"));
        assert_eq!(again, spec, "{name}:\n{printed}");
        insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!(format!("printed-{name}"), printed);
        });
    }
}

#[test]
fn good_files_never_panic_without_any_of_their_lines_or_with_one_of_them_twice() {
    for (name, text) in fixtures("good") {
        let lines: Vec<&str> = text.lines().collect();
        for (index, line) in lines.iter().enumerate() {
            let (before, after) = (&lines[..index], &lines[index + 1..]);
            for middle in [&[][..], &[*line, *line]] {
                let damaged = [before, middle, after].concat().join("\n");
                if let Ok(spec) = parse(&damaged) {
                    let printed = print_cluster(&spec);
                    let again = parse(&printed)
                        .unwrap_or_else(|errors| panic!("{name}, {line}:\n{printed}\n{errors}"));
                    assert_eq!(again, spec, "{name}, {line}");
                }
            }
        }
    }
}

#[test]
fn the_example_shows_every_field_and_the_defaults() {
    let smallest = parse(print_defaults()).unwrap();
    let text: Vec<String> = print_defaults().lines().map(uncommented).collect();
    let full = parse(&text.join("\n")).unwrap_or_else(|errors| panic!("{errors}"));

    assert_eq!(full.networking, smallest.networking);
    assert_eq!(full.runtime.socket, smallest.runtime.socket);
    assert_eq!(full.runtime.adopt, smallest.runtime.adopt);
    assert_eq!(full.addons, smallest.addons);
    assert_eq!(
        full.ignore_preflight_errors,
        smallest.ignore_preflight_errors
    );
    assert!(full.kubelet_configuration.is_some() && full.ssh.password_file.is_some());
    let snapshots = full.etcd_snapshots.as_ref().unwrap();
    assert_eq!((snapshots.schedule.as_str(), snapshots.keep), ("daily", 7));
    assert!(smallest.etcd_snapshots.is_none());
    assert!(full.patches.is_some() && !full.hosts[1].files.is_empty());
    assert!(full.hosts[1].architecture.is_some() && full.runtime.extra_config.is_some());
}

/// Takes the `# ` away from a comment that holds a field, a list item or a document's start.
fn uncommented(line: &str) -> String {
    let Some((indent, rest)) = line
        .split_once("# ")
        .filter(|(indent, _)| indent.trim().is_empty())
    else {
        return line.to_owned();
    };
    let content = rest.trim_start();
    let key = content
        .split(": ")
        .next()
        .unwrap_or(content)
        .trim_end_matches(':');
    let is_field = key.len() < content.len() && !key.contains(' ');
    let is_other = ["- {", "[debug]", "level =", "---"]
        .iter()
        .any(|start| content.starts_with(start));
    if is_field || is_other {
        format!("{indent}{rest}")
    } else {
        line.to_owned()
    }
}

#[test]
fn defaults_are_filled_in() {
    let spec = parse(&fixture("good", "smallest")).unwrap();
    assert_eq!(spec.networking.cni, Cni::Flannel);
    assert_eq!(spec.hosts[0].node_ip.to_string(), spec.hosts[0].address);
    assert!(spec.addons.metrics_server && spec.runtime.adopt);
    assert_eq!(spec.hosts[0].taints, None);
    let text = fixture("good", "smallest").replace("spec:\n", "spec:\n  etcdSnapshots: {}\n");
    let snapshots = parse(&text).unwrap().etcd_snapshots.unwrap();
    assert_eq!(snapshots.schedule.as_str(), "daily");
    assert_eq!(
        (snapshots.keep, snapshots.dir.as_str()),
        (7, "/var/lib/slipway/snapshots")
    );
}

#[test]
fn snapshots_are_kept_where_they_stay_and_nothing_else_is() {
    let text = fixture("good", "smallest");
    let parse_dir = |dir: &str| {
        let section = format!("spec:\n  etcdSnapshots: {{ dir: '{dir}' }}\n");
        parse(&text.replace("spec:\n", &section))
    };
    for dir in [
        "/srv/snapshots",
        "/backup",
        "/var/lib/slipway/snapshots/etcd",
        "/var/lib/etcd-snapshots",
    ] {
        assert_eq!(parse_dir(dir).unwrap().etcd_snapshots.unwrap().dir, dir);
    }
    for dir in [
        "/",
        "/var/lib",
        "/etc/kubernetes/backup",
        "/var/lib/slipway",
        "/var/lib/slipway/etcd",
        "/var/lib/etcd/snapshots",
        "/tmp/snapshots",
        "/root",
        "snapshots",
        "/srv/../etc",
        "/srv/a b",
        "/srv/%h",
        "/srv/",
    ] {
        assert!(parse_dir(dir).is_err(), "{dir}");
    }
}

#[test]
fn files_that_are_no_text_have_messages_of_their_own() {
    let message = |bytes: &[u8]| {
        let errors = ClusterFile::parse_bytes(bytes, "cluster.yaml", None).unwrap_err();
        assert_eq!(errors.errors.len(), 1);
        errors.errors[0].message.clone()
    };
    assert_eq!(message(b""), "the file is empty: it holds no document");
    assert_eq!(
        message(b"\x7fELF\xff"),
        "the file is not UTF-8 text: byte 4 does not fit"
    );
    assert_eq!(
        message(b"a\0b"),
        "the file is not UTF-8 text: byte 1 does not fit"
    );
    assert_eq!(
        message(&vec![b' '; ClusterFile::MAX_BYTES + 1]),
        "the file has 1048577 bytes; a cluster file may have 1048576 (1 MiB)"
    );
    let errors = SpecErrors::too_large("disk.img", 100 << 20);
    assert!(errors.to_string().contains("--> disk.img"), "{errors}");
    let errors = SpecErrors::directory("clusters");
    assert!(
        errors.to_string().contains("this is a directory"),
        "{errors}"
    );
}

#[test]
fn windows_line_ends_and_byte_order_marks_are_taken() {
    let text = fixture("good", "everything");
    let windows = format!("\u{feff}{}", text.replace('\n', "\r\n"));
    assert_eq!(parse(&windows).unwrap(), parse(&text).unwrap());
    let typo = fixture("bad", "typo").replace('\n', "\r\n");
    let errors = parse(&format!("\u{feff}{typo}")).unwrap_err();
    assert_eq!(
        (errors.errors[0].line, errors.errors[0].column),
        (Some(8), Some(7))
    );
}

/// Texts of up to 1 MiB that cost much where something is quadratic.
fn costly_texts() -> Vec<(&'static str, String)> {
    let head = "apiVersion: slipway.dev/v1alpha1\nkind: Cluster\nspec:\n";
    let fill = |unit: &str| unit.repeat(ClusterFile::MAX_BYTES / unit.len() - 1);
    let under = |unit: &str| {
        let count = (ClusterFile::MAX_BYTES - head.len()) / unit.len() - 8;
        format!("{head}{}", unit.repeat(count))
    };
    let numbered = |start: &str, unit: fn(usize) -> String| {
        let mut text = format!("{head}{start}");
        for index in 0.. {
            let next = unit(index);
            if text.len() + next.len() > ClusterFile::MAX_BYTES {
                return text;
            }
            text.push_str(&next);
        }
        text
    };
    vec![
        ("brackets", fill("[")),
        ("braces", fill("{a: ")),
        ("dashes", fill("- ")),
        ("question marks", fill("? ")),
        ("documents", fill("---\na: b\n")),
        ("empty documents", fill("---\n")),
        ("one word", fill("x")),
        ("one line of pairs", format!("{{{}}}", fill("a: b, "))),
        ("quotes", fill("\"")),
        (
            "at signs",
            format!("{head}  : {}", fill("@").split_off(100)),
        ),
        ("colons", fill(":")),
        ("tabs", fill("\t")),
        ("anchors", fill("&a ")),
        ("comments", fill("#\n")),
        ("unknown fields", under("  x: 1\n")),
        ("different fields", numbered("", |i| format!("  f{i}: 1\n"))),
        (
            "empty hosts",
            under("  - \n").replacen("spec:\n", "spec:\n  hosts:\n", 1),
        ),
        (
            "equal hosts",
            numbered("  hosts:\n", |_| {
                "  - {name: a, address: 192.0.2.1, role: worker}\n".to_owned()
            }),
        ),
        (
            "many hosts",
            numbered("  hosts:\n", |i| {
                format!(
                    "  - {{name: a{i}, address: 10.244.{}.{}, role: worker}}\n",
                    i / 250,
                    i % 250
                )
            }),
        ),
        (
            "merges",
            numbered("  a: &a {b: c}\n", |_| "  ? {<<: [*a, *a]}\n".to_owned()),
        ),
        (
            "folded",
            format!("{head}  x: >\n{}", fill("    y\n").split_off(200)),
        ),
    ]
}

#[test]
fn costly_texts_are_refused_quickly() {
    for (name, text) in costly_texts() {
        let start = time_on_cpu();
        let errors = parse(&text).expect_err(name);
        let shown = errors.to_string();
        let elapsed = time_on_cpu() - start;
        println!(
            "{name}: {elapsed:?}, {} errors",
            errors.errors.len() + errors.omitted
        );
        assert!(elapsed < Duration::from_secs(10), "{name} took {elapsed:?}");
        assert!(
            shown.len() < 40_000,
            "{name}: {} bytes of errors",
            shown.len()
        );
        assert!(errors.errors.len() <= 50, "{name}");
    }
}

/// Returns the time this thread has computed for: clocks also count what other processes take.
fn time_on_cpu() -> Duration {
    rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime)
        .try_into()
        .expect("time on the processor is never negative")
}

/// What begins kubeadm's documents, and fields that decide what becomes of them.
const KUBEADM_WORDS: &[&str] = &[
    "\n---\n",
    "\napiVersion: kubeadm.k8s.io/v1beta4\n",
    "\napiVersion: kubeadm.k8s.io/v1beta3\n",
    "\napiVersion: kubelet.config.k8s.io/v1beta1\n",
    "\napiVersion: kubeproxy.config.k8s.io/v1alpha1\n",
    "\nkind: ClusterConfiguration\n",
    "\nkind: InitConfiguration\n",
    "\nkind: JoinConfiguration\n",
    "\nkind: UpgradeConfiguration\n",
    "\nkind: KubeletConfiguration\n",
    "\nkind: KubeProxyConfiguration\n",
    "\netcd: { external: { endpoints: [] } }\n",
    "\nextraArgs: { v: \"1\" }\n",
    "\nextraArgs: [{ name: v, value: 1 }]\n",
    "\nnodeRegistration: { taints: null }\n",
    "\ncontrolPlane:\n",
];

fn yaml_like() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        Just("- "),
        Just(": "),
        Just(":"),
        Just("\n"),
        Just("\n  "),
        Just("\n    "),
        Just("{"),
        Just("}"),
        Just("["),
        Just("]"),
        Just(","),
        Just("\""),
        Just("'"),
        Just("&a "),
        Just("*a "),
        Just("<<: "),
        Just("!x "),
        Just("| "),
        Just("> "),
        Just("---\n"),
        Just("? "),
        Just("#"),
        Just("\t"),
        Just("spec"),
        Just("hosts"),
        Just("name"),
        Just("cp-1"),
        Just("address"),
        Just("192.0.2.1"),
        Just("password"),
        Just("é"),
        Just("1.36"),
        Just("apiVersion: slipway.dev/v1alpha1\n"),
        Just("kind: Cluster\n"),
        prop::sample::select(KUBEADM_WORDS),
    ];
    proptest::collection::vec(word, 0..60).prop_map(|words| words.concat())
}

proptest! {
    #[test]
    fn arbitrary_text_never_panics(text in "\\PC*") {
        let _ = parse(&text).map_err(|errors| errors.to_string());
    }

    #[test]
    fn arbitrary_yaml_never_panics(text in yaml_like()) {
        let _ = parse(&text).map_err(|errors| errors.to_string());
    }

    #[test]
    fn any_text_in_a_field_survives_being_printed(
        value in prop_oneof!["\\PC{1,40}", "[ -~\\n\\t]{1,120}", "(yes|no|on|~|null|true|1_0|0x1f|1e3|010|<<|=|\\.inf|2020-01-01|#x|- a|a: b|'|\")"],
        number in any::<f64>().prop_filter("JSON", |number| number.is_finite()),
        integer in any::<i64>(),
    ) {
        let mut spec = parse(&fixture("good", "everything")).unwrap();
        prop_assume!(!value.trim().is_empty());
        prop_assume!(!value.contains(['\0', '\u{7f}']));
        spec.runtime.extra_config = Some(value.clone());
        spec.hosts[0].kubelet_extra_args.push(("v".to_owned(), value.clone()));
        let whole = number.trunc() == number && number.abs() < 1e15;
        let kubelet = spec.kubelet_configuration.as_mut().unwrap();
        kubelet["tlsCertFile"] = value.clone().into();
        kubelet["maxPods"] = integer.into();
        kubelet["memoryThrottlingFactor"] =
            if whole { (number as i64).into() } else { number.into() };
        kubelet["systemReserved"] = serde_json::json!({ value.clone(): value, "cpu": null });
        let printed = print_cluster(&spec);
        let again = parse(&printed).map_err(|errors| {
            TestCaseError::fail(format!("{printed}\n{errors}"))
        })?;
        prop_assert_eq!(again, spec, "{}", printed);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    #[test]
    fn a_damaged_file_never_panics(
        file in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        length in 0_usize..40,
        insert in prop_oneof![
            "[ -~\\n]{0,6}".boxed(),
            prop::sample::select(KUBEADM_WORDS).prop_map(str::to_owned).boxed(),
        ],
    ) {
        let files = fixtures("good");
        let (_, text) = &files[file.index(files.len())];
        let cut = text.floor_char_boundary(at.index(text.len()));
        let end = text.ceil_char_boundary((cut + length).min(text.len()));
        let damaged = format!("{}{insert}{}", &text[..cut], &text[end..]);
        match parse(&damaged) {
            Ok(spec) => prop_assert_eq!(parse(&print_cluster(&spec)).unwrap(), spec),
            Err(errors) => prop_assert!(!errors.to_string().is_empty()),
        }
    }
}

#[test]
fn empty_files_of_an_etcd_elsewhere_are_none_as_kubeadm_writes_them() {
    let file = |files: &str| {
        format!(
            "apiVersion: slipway.dev/v1alpha1\nkind: Cluster\nmetadata: {{ name: harbour }}\n\
             spec:\n  kubernetesVersion: 1.36.3\n  hosts:\n\
             \x20 - {{ name: cp-1, address: 192.0.2.11, role: control-plane }}\n---\n\
             apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\netcd:\n  external:\n\
             \x20   endpoints: [http://192.0.2.31:2379]\n{files}"
        )
    };
    let empty = "    caFile: \"\"\n    certFile: \"\"\n    keyFile: \"\"\n";
    assert_eq!(parse(&file(empty)).unwrap(), parse(&file("")).unwrap());
}
