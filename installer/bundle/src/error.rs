//! What can go wrong between a release source and an opened blob.

use std::io;
use std::path::PathBuf;

use miette::Diagnostic;
use slipway_api::{Architecture, Blob, ImageReference, Sha256Digest, UnsupportedVersion};

/// A failure to fetch, write, open or read Kubernetes' files.
///
/// URLs are shown without credentials.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub enum BundleError {
    /// A version outside the table was asked for.
    #[error(transparent)]
    #[diagnostic(transparent)]
    UnsupportedVersion(#[from] UnsupportedVersionHelp),

    /// The text names no source.
    #[error("`{text}` is no release source: {reason}")]
    #[diagnostic(help(
        "give `official`, the URL of a mirror (https://…) or a directory laid out like one"
    ))]
    InvalidSource {
        /// What was given, without credentials.
        text: String,
        /// What is wrong with it.
        reason: String,
    },

    /// The HTTP client could not be set up.
    #[error("the HTTP client could not be set up")]
    BuildClient(#[source] reqwest::Error),

    /// The file with additional CA certificates is of no use.
    #[error("{} holds no usable CA certificate", path.display())]
    #[diagnostic(help("`--ca-file` takes one or more certificates in PEM form"))]
    CaFile {
        /// The file.
        path: PathBuf,
        /// Why, where a parser or the file system said so.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },

    /// No connection, or it broke.
    #[error("{url} could not be fetched")]
    #[diagnostic(help(
        "check the network, or the proxy in HTTPS_PROXY and NO_PROXY; `--source` takes a mirror or a directory"
    ))]
    Transfer {
        /// What was being fetched.
        url: String,
        /// What the client said.
        #[source]
        source: reqwest::Error,
    },

    /// The transfer ended before the announced end.
    #[error("{url} ended after {received} of {expected} bytes")]
    Cut {
        /// What was being fetched.
        url: String,
        /// The number of bytes received.
        received: u64,
        /// The number of bytes announced.
        expected: u64,
    },

    /// The server stopped sending.
    #[error("{url} sent no byte for {seconds} s")]
    #[diagnostic(help(
        "what has arrived is kept: the next attempt goes on from there; a mirror (`--source`) may be faster"
    ))]
    Stalled {
        /// What was being fetched.
        url: String,
        /// The limit, in seconds.
        seconds: f32,
    },

    /// The server's certificate is not trusted.
    #[error("the certificate of {url} is not trusted")]
    #[diagnostic(help(
        "if a private CA signed it (also: a proxy that opens TLS), name its certificate with `--ca-file` or SSL_CERT_FILE"
    ))]
    UntrustedCertificate {
        /// What was being fetched.
        url: String,
        /// What TLS said.
        #[source]
        source: rustls::Error,
    },

    /// The server answered with an error.
    #[error("{url} answered {status}")]
    Status {
        /// What was being fetched.
        url: String,
        /// The answer.
        status: reqwest::StatusCode,
        /// What to do about it.
        #[help]
        help: String,
    },

    /// A redirect leads nowhere or away from TLS.
    #[error("{url} cannot be followed: {reason}")]
    #[diagnostic(help("open the URL by hand to see where it leads"))]
    Redirect {
        /// What was being fetched.
        url: String,
        /// What is wrong with the redirect.
        reason: String,
    },

    /// Transient failures did not go away.
    #[error("gave up on {url} after {tries} tries")]
    GaveUp {
        /// What was being fetched.
        url: String,
        /// How often it was tried.
        tries: u32,
        /// The last failure.
        #[source]
        source: Box<BundleError>,
        /// The last failure's help.
        #[help]
        help: Option<String>,
    },

    /// The answer is longer than sense allows.
    #[error("{url} is larger than {limit} bytes")]
    TooLarge {
        /// What was being fetched.
        url: String,
        /// The limit in bytes.
        limit: u64,
    },

    /// The bytes are not those the source's checksum promises; they were thrown away.
    #[error("{url} has the wrong checksum: sha256 {expected} was promised, {actual} came")]
    #[diagnostic(help(
        "nothing was kept; a proxy or mirror may have altered the file, or its checksum file is of another version"
    ))]
    WrongChecksum {
        /// Where the bytes came from.
        url: String,
        /// The promised digest.
        expected: Sha256Digest,
        /// The digest of what came.
        actual: Sha256Digest,
    },

    /// The source has no usable checksum for a file.
    #[error("{checksum_url} names no checksum of `{file}`")]
    #[diagnostic(help("files without a checksum are not installed: add it to the source"))]
    NoChecksum {
        /// Where the checksum should be.
        checksum_url: String,
        /// The file it should cover.
        file: String,
    },

    /// A file of a directory source is missing.
    #[error("the source has no {}", path.display())]
    #[diagnostic(help(
        "a directory is laid out like a mirror: upstream URLs without their scheme, images as OCI layouts under images/"
    ))]
    NotInDirectory {
        /// The missing file.
        path: PathBuf,
    },

    /// A local file could not be used.
    #[error("cannot {act} {}", path.display())]
    File {
        /// What was tried: `read`, `write`, `create`.
        act: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },

    /// An image's index or manifest cannot be used.
    #[error("image {reference}: {reason}")]
    Image {
        /// The image.
        reference: ImageReference,
        /// What is wrong.
        reason: String,
    },

    /// An image is not offered for an architecture.
    #[error("image {reference} is not offered for {architecture}, only for {offered}")]
    NoSuchPlatform {
        /// The image.
        reference: ImageReference,
        /// What was asked for.
        architecture: Architecture,
        /// What the index lists.
        offered: String,
    },

    /// An archive cannot be trusted or read.
    #[error("the archive {name} is refused: {reason}")]
    Archive {
        /// The archive's file or artifact.
        name: String,
        /// What is wrong.
        reason: String,
        /// What the reader said, where it did.
        #[source]
        source: Option<io::Error>,
    },

    /// The file given as `slipway` is none for that architecture.
    #[error("{} is not a slipway for {architecture}: {reason}", path.display())]
    #[diagnostic(help("give a static Linux build as `--slipway ARCH=FILE`"))]
    SlipwayBinary {
        /// The file.
        path: PathBuf,
        /// The architecture it was given for.
        architecture: Architecture,
        /// What is wrong.
        reason: String,
    },

    /// The file is something else.
    #[error("{} is not a bundle: {reason}", path.display())]
    #[diagnostic(help("bundles are made by `slipway bundle create`"))]
    NotABundle {
        /// The file.
        path: PathBuf,
        /// How that shows.
        reason: String,
    },

    /// A newer or older `slipway` made the bundle.
    #[error("{} has bundle format {format}; this build reads {supported}", path.display())]
    #[diagnostic(help("use the slipway that made the bundle, or make it again with this one"))]
    UnknownFormat {
        /// The file.
        path: PathBuf,
        /// The format's number.
        format: u64,
        /// The number this build knows.
        supported: u32,
    },

    /// The manifest is longer than the limit.
    #[error("the manifest of {} is {size} bytes long; the limit is {limit}", path.display())]
    ManifestTooLong {
        /// The file.
        path: PathBuf,
        /// The length it claims.
        size: u64,
        /// The limit in bytes.
        limit: u64,
    },

    /// The manifest's bytes are not those that were written, or say nonsense.
    #[error("the manifest of {} is damaged: {reason}", path.display())]
    #[diagnostic(help("copy the bundle again from where it was made"))]
    DamagedManifest {
        /// The file.
        path: PathBuf,
        /// How that shows.
        reason: String,
    },

    /// The file ends early.
    #[error("{} is truncated: it has {actual} bytes and ends inside {what}", path.display())]
    #[diagnostic(help("copy the bundle again from where it was made"))]
    Truncated {
        /// The file.
        path: PathBuf,
        /// Its length.
        actual: u64,
        /// The part that is cut, with its owner.
        what: String,
    },

    /// An entry that no bundle has.
    #[error("{} is damaged: {reason}", path.display())]
    #[diagnostic(help("copy the bundle again from where it was made"))]
    OddEntry {
        /// The file.
        path: PathBuf,
        /// What is odd, and where.
        reason: String,
    },

    /// A blob that the manifest names is absent.
    #[error("{} lacks blob sha256:{} of {owner}", path.display(), blob.sha256)]
    #[diagnostic(help("nothing was installed; make the bundle again"))]
    MissingBlob {
        /// The bundle.
        path: PathBuf,
        /// The blob.
        blob: Blob,
        /// What it belongs to.
        owner: String,
    },

    /// A blob has another size than the manifest says.
    #[error(
        "{} holds blob sha256:{} of {owner} with {actual} bytes instead of {}",
        path.display(), blob.sha256, blob.size
    )]
    #[diagnostic(help("nothing was installed; make the bundle again"))]
    WrongSize {
        /// The bundle or cached file.
        path: PathBuf,
        /// The blob.
        blob: Blob,
        /// What it belongs to.
        owner: String,
        /// The size found.
        actual: u64,
    },

    /// A blob's bytes are not those of its digest.
    #[error(
        "blob sha256:{} of {owner} is damaged in {}: its bytes have sha256 {actual}",
        blob.sha256, path.display()
    )]
    #[diagnostic(help("copy the bundle or source again from where it was made"))]
    DamagedBlob {
        /// The bundle or file.
        path: PathBuf,
        /// The blob.
        blob: Blob,
        /// What it belongs to.
        owner: String,
        /// The digest of the bytes found.
        actual: Sha256Digest,
    },

    /// A blob was asked for that the store does not have.
    #[error("{store} holds no blob sha256:{}", blob.sha256)]
    UnknownBlob {
        /// The store.
        store: String,
        /// The blob.
        blob: Blob,
    },

    /// The store was made for other versions or architectures.
    #[error("{wanted} is not in it: it holds {held}")]
    #[diagnostic(help("make a bundle that holds it: `slipway bundle create`"))]
    NotHeld {
        /// What was wanted.
        wanted: String,
        /// What is there.
        held: String,
    },
}

/// An unsupported version, with help.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error(transparent)]
#[diagnostic(help("newer minors need a newer slipway"))]
pub struct UnsupportedVersionHelp(#[from] UnsupportedVersion);

impl From<UnsupportedVersion> for BundleError {
    fn from(error: UnsupportedVersion) -> Self {
        Self::UnsupportedVersion(UnsupportedVersionHelp(error))
    }
}

impl BundleError {
    /// Returns a closure that says what was tried on `path`.
    pub(crate) fn file(
        act: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| match source.downcast::<Self>() {
            Ok(inner) => inner,
            Err(source) => Self::File { act, path, source },
        }
    }

    /// Returns the text of the help, if there is any.
    pub fn help_text(&self) -> Option<String> {
        Diagnostic::help(self).map(|help| help.to_string())
    }
}
