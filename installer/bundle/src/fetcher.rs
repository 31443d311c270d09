//! The HTTP client of all downloads: patient, resuming, and clear about what failed.

use std::error::Error as StdError;
use std::net::SocketAddr;
use std::time::Duration;

use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONTENT_RANGE, ETAG, HeaderMap, HeaderName, HeaderValue, IF_RANGE,
    LAST_MODIFIED, RANGE, RETRY_AFTER, WWW_AUTHENTICATE,
};
use reqwest::{Response, StatusCode, redirect};
use slipway_api::Sha256Digest;

use crate::part_file::PartFile;
use crate::shown_url::shown_url;
use crate::{BundleError, FetchOptions, NameResolver};

/// How many redirects are followed.
const MAX_REDIRECTS: usize = 10;
/// The longest pause between two tries.
const MAX_BACKOFF: Duration = Duration::from_secs(30);
/// A try that brought this many bytes is no failed try: long downloads over bad lines end too.
const PROGRESS_THAT_COUNTS: u64 = 4 << 20;
/// The largest file that is fetched where its size is not known beforehand.
const MAX_DOWNLOAD: u64 = 4 << 30;

/// Fetches URLs.
pub(crate) struct Fetcher {
    client: reqwest::Client,
    options: FetchOptions,
}

/// What to ask for.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// The URL.
    pub url: String,
    /// The media types wanted, empty for any.
    pub accept: String,
    /// The bearer token, if one is needed.
    pub bearer: Option<String>,
}

/// A failed try.
pub(crate) struct Failure {
    /// What to tell.
    pub error: BundleError,
    /// The answer's `WWW-Authenticate`, when the status was 401.
    pub challenge: Option<String>,
    is_transient: bool,
    retry_after: Option<Duration>,
}

impl Fetcher {
    /// Returns a client with `options`.
    pub(crate) fn new(options: &FetchOptions) -> Result<Self, BundleError> {
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("slipway/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(options.connect_timeout)
            .read_timeout(options.stall_timeout)
            .redirect(redirect::Policy::custom(follow));
        if let Some(resolver) = &options.resolver {
            builder = builder.dns_resolver(Resolver(resolver.clone()));
        }
        if let Some(path) = &options.ca_file {
            let unusable = |source| BundleError::CaFile {
                path: path.clone(),
                source,
            };
            let pem = std::fs::read(path).map_err(|error| unusable(Some(error.into())))?;
            let certificates = reqwest::Certificate::from_pem_bundle(&pem)
                .map_err(|error| unusable(Some(error.into())))?;
            if certificates.is_empty() {
                return Err(unusable(None));
            }
            builder = builder.tls_certs_merge(certificates);
        }
        let client = builder.build().map_err(BundleError::BuildClient)?;
        Ok(Self {
            client,
            options: options.clone(),
        })
    }

    /// Fetches a document of at most `limit` bytes.
    pub(crate) async fn document(&self, request: &Request, limit: u64) -> Result<Vec<u8>, Failure> {
        let mut tries = 0;
        loop {
            tries += 1;
            match self.try_document(request, limit).await {
                Ok(document) => return Ok(document),
                Err(failure) => self.pause_or_fail(request, failure, tries).await?,
            }
        }
    }

    /// Fetches into `part` until it holds the bytes with the digest `expected`.
    ///
    /// `report` is told the bytes so far and in all.
    pub(crate) async fn download(
        &self,
        request: &Request,
        part: &mut PartFile,
        (expected, size): (Sha256Digest, Option<u64>),
        report: &(dyn Fn(u64, Option<u64>) + Send + Sync),
    ) -> Result<(), Failure> {
        let mut tries = 0;
        let mut is_resumed = part.length() > 0;
        loop {
            if part.length() > 0 && part.digest() == expected {
                return Ok(());
            }
            tries += 1;
            let before = part.length();
            let outcome = self.try_download(request, part, size, report).await;
            part.flush().await?;
            match outcome {
                Ok(()) if part.digest() == expected => return Ok(()),
                // An old part of something else cannot lead to the right digest: once more, whole.
                Ok(()) if is_resumed => {
                    is_resumed = false;
                    part.restart().await?;
                }
                Ok(()) => {
                    return Err(BundleError::WrongChecksum {
                        url: shown_url(&request.url),
                        expected,
                        actual: part.digest(),
                    }
                    .into());
                }
                Err(failure) => {
                    if part.length() >= before + PROGRESS_THAT_COUNTS {
                        tries = 1;
                    }
                    self.pause_or_fail(request, failure, tries).await?;
                    is_resumed |= part.length() > 0;
                }
            }
        }
    }

    async fn try_document(&self, request: &Request, limit: u64) -> Result<Vec<u8>, Failure> {
        let mut response = self.send(request, HeaderMap::new()).await?;
        if !response.status().is_success() {
            return Err(self.refused(request, &response));
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(|error| self.broken(&request.url, error))?
        {
            bytes.extend_from_slice(&chunk);
            if bytes.len() as u64 > limit {
                let url = shown_url(&request.url);
                return Err(BundleError::TooLarge { url, limit }.into());
            }
        }
        Ok(bytes)
    }

    async fn try_download(
        &self,
        request: &Request,
        part: &mut PartFile,
        size: Option<u64>,
        report: &(dyn Fn(u64, Option<u64>) + Send + Sync),
    ) -> Result<(), Failure> {
        let mut headers = HeaderMap::new();
        if part.length() > 0 {
            headers.insert(
                RANGE,
                format!("bytes={}-", part.length()).parse().expect("digits"),
            );
            if let Some(value) = part.validator().and_then(|value| value.parse().ok()) {
                headers.insert(IF_RANGE, value);
            }
        }
        let mut response = self.send(request, headers).await?;
        let status = response.status();
        if status == StatusCode::RANGE_NOT_SATISFIABLE && part.length() > 0 {
            part.restart().await?;
            return Err(Failure::transient(self.status_error(request, status)));
        }
        if !status.is_success() {
            return Err(self.refused(request, &response));
        }
        let continues =
            status == StatusCode::PARTIAL_CONTENT && starts_at(response.headers(), part.length());
        if !continues {
            if status == StatusCode::PARTIAL_CONTENT {
                part.restart().await?;
                return Err(Failure::transient(self.status_error(request, status)));
            }
            part.restart().await?;
            part.set_validator(validator(response.headers()).as_deref())
                .await?;
        }
        let total = size.or_else(|| Some(part.length() + response.content_length()?));
        let limit = size.unwrap_or(MAX_DOWNLOAD);
        report(part.length(), total);
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(|error| self.broken(&request.url, error))?
        {
            if part.length() + chunk.len() as u64 > limit {
                let url = shown_url(&request.url);
                return Err(BundleError::TooLarge { url, limit }.into());
            }
            part.append(&chunk).await?;
            report(part.length(), total);
        }
        match total {
            Some(expected) if part.length() < expected => {
                Err(Failure::transient(BundleError::Cut {
                    url: shown_url(&request.url),
                    received: part.length(),
                    expected,
                }))
            }
            _ => Ok(()),
        }
    }

    async fn send(&self, request: &Request, mut headers: HeaderMap) -> Result<Response, Failure> {
        if let Some(token) = &request.bearer {
            let mut value: HeaderValue = format!("Bearer {token}")
                .parse()
                .expect("the registry passes plain tokens only");
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        if !request.accept.is_empty() {
            headers.insert(
                ACCEPT,
                request.accept.parse().expect("media types are plain text"),
            );
        }
        self.client
            .get(&request.url)
            .headers(headers)
            .send()
            .await
            .map_err(|error| self.broken(&request.url, error))
    }

    /// Waits before the next try, or returns what to tell if there is to be none.
    async fn pause_or_fail(
        &self,
        request: &Request,
        failure: Failure,
        tries: u32,
    ) -> Result<(), Failure> {
        if !failure.is_transient {
            return Err(failure);
        }
        if tries >= self.options.tries {
            return Err(Failure {
                error: BundleError::GaveUp {
                    url: shown_url(&request.url),
                    tries,
                    help: failure.error.help_text(),
                    source: Box::new(failure.error),
                },
                challenge: None,
                is_transient: false,
                retry_after: None,
            });
        }
        let backoff = self.options.first_backoff * 2_u32.saturating_pow(tries - 1);
        let pause = failure.retry_after.unwrap_or(backoff);
        tokio::time::sleep(pause.min(MAX_BACKOFF)).await;
        Ok(())
    }

    fn refused(&self, request: &Request, response: &Response) -> Failure {
        let status = response.status();
        let headers = response.headers();
        Failure {
            error: self.status_error(request, status),
            challenge: header(headers, WWW_AUTHENTICATE).filter(|_| status == 401),
            is_transient: matches!(status.as_u16(), 408 | 425 | 429 | 500 | 502..=504),
            retry_after: header(headers, RETRY_AFTER)
                .and_then(|value| value.parse().ok())
                .map(Duration::from_secs),
        }
    }

    fn status_error(&self, request: &Request, status: StatusCode) -> BundleError {
        let help = match status.as_u16() {
            404 | 410 => "check that the source holds this version for this architecture",
            401 | 403 => "the source wants other credentials; a mirror's go into its URL",
            407 => "the proxy wants credentials: HTTPS_PROXY=http://user:password@host:port",
            429 => "the server limits how much it gives: wait, or use a mirror (`--source`)",
            _ => "try again later, or use a mirror (`--source`)",
        };
        BundleError::Status {
            url: shown_url(&request.url),
            status,
            help: help.to_owned(),
        }
    }

    /// Sorts an error of the client.
    fn broken(&self, url: &str, error: reqwest::Error) -> Failure {
        let url = shown_url(url);
        // Its own text repeats the URL, after redirects one that may carry a signature.
        let error = error.without_url();
        if let Some(source) = certificate_error(&error) {
            return BundleError::UntrustedCertificate { url, source }.into();
        }
        if error.is_redirect() {
            let reason = error
                .source()
                .map_or_else(|| error.to_string(), ToString::to_string);
            return BundleError::Redirect { url, reason }.into();
        }
        if error.is_builder() {
            return BundleError::Transfer { url, source: error }.into();
        }
        Failure::transient(if error.is_timeout() && !error.is_connect() {
            let seconds = self.options.stall_timeout.as_secs_f32();
            BundleError::Stalled { url, seconds }
        } else {
            BundleError::Transfer { url, source: error }
        })
    }
}

impl Request {
    /// Returns a plain request for `url`.
    pub(crate) fn plain(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            accept: String::new(),
            bearer: None,
        }
    }
}

impl Failure {
    fn transient(error: BundleError) -> Self {
        Self {
            error,
            challenge: None,
            is_transient: true,
            retry_after: None,
        }
    }
}

impl From<BundleError> for Failure {
    fn from(error: BundleError) -> Self {
        Self {
            error,
            challenge: None,
            is_transient: false,
            retry_after: None,
        }
    }
}

impl From<Failure> for BundleError {
    fn from(failure: Failure) -> Self {
        failure.error
    }
}

/// Hands names to the caller's resolver.
struct Resolver(NameResolver);

impl reqwest::dns::Resolve for Resolver {
    fn resolve(&self, name: reqwest::dns::Name) -> reqwest::dns::Resolving {
        let lookup = (self.0)(name.as_str().to_owned());
        Box::pin(async move {
            let addresses = lookup.await?;
            // The client puts the port in place of 0.
            let addresses = addresses
                .into_iter()
                .map(|address| SocketAddr::new(address, 0));
            Ok(Box::new(addresses) as reqwest::dns::Addrs)
        })
    }
}

/// Follows a redirect unless there were too many or it leaves TLS.
fn follow(attempt: redirect::Attempt<'_>) -> redirect::Action {
    if attempt.previous().len() > MAX_REDIRECTS {
        return attempt.error(format!("it is redirected more than {MAX_REDIRECTS} times"));
    }
    let left_tls = attempt
        .previous()
        .last()
        .is_some_and(|from| from.scheme() == "https")
        && attempt.url().scheme() != "https";
    match left_tls {
        true => attempt.error("it is redirected from https to plain http"),
        false => attempt.follow(),
    }
}

/// Returns the TLS verdict on the server's certificate, if that is what `error` is about.
fn certificate_error(error: &reqwest::Error) -> Option<rustls::Error> {
    let mut next: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(error) = next {
        // An `io::Error` hands out its content's source, not the content.
        let inner = error
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref);
        let inner = inner.map(|inner| inner as &(dyn StdError + 'static));
        let found = inner.unwrap_or(error).downcast_ref::<rustls::Error>();
        if let Some(verdict @ rustls::Error::InvalidCertificate(_)) = found {
            return Some(verdict.clone());
        }
        next = inner.or_else(|| error.source());
    }
    None
}

/// Returns whether the answer's range starts at `offset`.
fn starts_at(headers: &HeaderMap, offset: u64) -> bool {
    header(headers, CONTENT_RANGE)
        .and_then(|value| {
            value
                .strip_prefix("bytes ")?
                .split('-')
                .next()?
                .parse()
                .ok()
        })
        .is_some_and(|start: u64| start == offset)
}

/// Returns what `If-Range` takes: a strong entity tag, else the date of the last change.
fn validator(headers: &HeaderMap) -> Option<String> {
    header(headers, ETAG)
        .filter(|tag| !tag.starts_with("W/"))
        .or_else(|| header(headers, LAST_MODIFIED))
}

fn header(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}
