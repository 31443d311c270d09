//! Both ends of a byte stream, whatever carries it.

use tokio::io::{AsyncRead, AsyncWrite};

/// A byte stream to read from and to write to.
pub trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> ByteStream for T {}
