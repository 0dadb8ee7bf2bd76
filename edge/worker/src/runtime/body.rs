//! Reading a request's body, and no more of it than a webhook may have.

use futures::StreamExt;
use stoker_intake::MAX_BODY_BYTES;
use worker::{ByteStream, Request};

/// The raw bytes, or `None` as soon as there are too many. A body that breaks off ends there: its
/// signature will not verify.
pub(super) async fn read(request: &Request, content_length: Option<&str>) -> Option<Vec<u8>> {
    let Some(stream) = request.inner().body() else {
        return Some(Vec::new());
    };
    let announced = content_length.and_then(|length| length.parse::<usize>().ok());
    let mut body = Vec::with_capacity(announced.unwrap_or_default().min(MAX_BODY_BYTES));
    let mut chunks = ByteStream::from(stream);
    while let Some(Ok(chunk)) = chunks.next().await {
        if body.len().saturating_add(chunk.len()) > MAX_BODY_BYTES {
            return None;
        }
        body.extend_from_slice(&chunk);
    }
    Some(body)
}
