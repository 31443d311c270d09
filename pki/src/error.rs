//! What can go wrong with keys, certificates and kubeconfigs.

/// An act of this crate that failed.
///
/// No variant carries secret text: damaged keys and kubeconfigs are named by place, never quoted.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// The text names no key algorithm.
    #[error(transparent)]
    UnknownKeyAlgorithm(#[from] crate::UnknownKeyAlgorithm),

    /// The PEM text holds no block of the wanted kind.
    #[error("found no {wanted} in the PEM text")]
    PemBlockMissing {
        /// What was looked for, in words.
        wanted: &'static str,
    },

    /// A PEM block has no end or is not base64.
    #[error("the PEM block `{label}` is damaged")]
    PemDamaged {
        /// The label in the block's first line.
        label: String,
    },

    /// The private key needs a passphrase.
    #[error("the private key is encrypted with a passphrase; decrypt it first")]
    KeyEncrypted,

    /// The private key is of a kind that kubeadm's clusters do not use, or its parts do not fit.
    #[error("the private key is not a sound RSA (2048 to 8192 bits), ECDSA P-256 or P-384 key")]
    KeyUnsupported,

    /// The random generator or the key generation failed.
    #[error("cannot generate a {algorithm} private key")]
    GenerateKey {
        /// The wanted algorithm.
        algorithm: crate::KeyAlgorithm,
    },

    /// The system's random generator failed.
    #[error("cannot read random bytes")]
    Random,

    /// The library refused to encrypt.
    #[error("cannot encrypt with the certificate key")]
    Seal,

    /// A certificate key is misspelt.
    #[error("a certificate key has 64 hexadecimal digits")]
    CertificateKey,

    /// What was encrypted does not open.
    #[error("it was encrypted with another key, or was changed since")]
    Open,

    /// The key refused to sign.
    #[error("cannot sign with the private key")]
    Sign,

    /// A value does not fit into the certificate's encoding.
    #[error("cannot encode {what}")]
    Encode {
        /// The structure that was written.
        what: &'static str,
        /// The encoder's reason.
        #[source]
        source: der::Error,
    },

    /// The text is not a certificate or a request as RFC 5280 or RFC 2986 define them.
    #[error("cannot parse the {what}")]
    Parse {
        /// The structure that was read.
        what: &'static str,
        /// The parser's reason.
        #[source]
        source: x509_parser::error::X509Error,
    },

    /// The certificate may not sign others.
    #[error("the certificate of `{common_name}` is not a certificate authority's")]
    NotAnAuthority {
        /// The subject's common name.
        common_name: String,
    },

    /// The authority's certificate and key do not belong together.
    #[error("the private key does not belong to the certificate of `{common_name}`")]
    AuthorityKeyMismatch {
        /// The subject's common name.
        common_name: String,
    },

    /// The request is not signed by the key it carries.
    #[error("the signature of the certificate request is not valid")]
    RequestSignature,

    /// The request's key is too weak or of a kind that kubeadm's clusters do not use.
    #[error("the certificate request carries a key of kind {algorithm}, which is not accepted")]
    RequestKeyUnsupported {
        /// The key's algorithm in words.
        algorithm: String,
    },

    /// The profile lacks something that every certificate needs.
    #[error("the certificate profile of `{common_name}` has no {missing}")]
    ProfileIncomplete {
        /// The profile's common name, possibly empty.
        common_name: String,
        /// What is missing.
        missing: &'static str,
    },

    /// A subject alternative name is neither an IP address nor a DNS name.
    #[error(
        "`{value}` is neither an IP address nor a DNS name of lower-case letters, digits, `-` and `.`"
    )]
    InvalidName {
        /// The value as given.
        value: String,
    },

    /// The control plane's endpoint is not `host`, `host:port` or `[IPv6]:port`.
    #[error("`{value}` is not an endpoint of the form `host:port`")]
    InvalidEndpoint {
        /// The value as given.
        value: String,
    },

    /// A date that certificates cannot express: before 1970 or after 9999.
    #[error("the validity from {from} for {hours} hours cannot be written into a certificate")]
    TimeOutOfRange {
        /// The moment of issuing.
        from: jiff::Timestamp,
        /// The wanted validity in hours.
        hours: u64,
    },

    /// The kubeconfig is not YAML or lacks the shape of a kubeconfig.
    ///
    /// The parser's own message is left out on purpose: it quotes the text, which holds keys.
    #[error("the kubeconfig cannot be read: line {line}, column {column}")]
    KubeconfigSyntax {
        /// Line, counted from 1; 0 when unknown.
        line: u64,
        /// Column, counted from 1; 0 when unknown.
        column: u64,
    },

    /// The kubeconfig's current context leads nowhere, or its cluster or user is not usable here.
    #[error("the kubeconfig has no {missing}")]
    KubeconfigIncomplete {
        /// What is missing.
        missing: &'static str,
    },

    /// The kubeconfig could not be written.
    #[error("cannot write the kubeconfig of `{user_name}`")]
    WriteKubeconfig {
        /// The user named in it.
        user_name: String,
    },

    /// The text is not a bootstrap token.
    #[error("a bootstrap token has the form `[a-z0-9]{{6}}.[a-z0-9]{{16}}`")]
    InvalidBootstrapToken,
}

impl PkiError {
    /// Wraps an encoder's error with the structure that was being written.
    pub(crate) fn encode(what: &'static str) -> impl FnOnce(der::Error) -> Self {
        move |source| Self::Encode { what, source }
    }
}
