//! How is a server called? With a limit for everything, and without following it elsewhere.

#![expect(clippy::disallowed_methods, reason = "a signature says when it was made")]

use std::{
    collections::BTreeMap,
    time::{SystemTime, UNIX_EPOCH},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, Mac};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{Request, body::Bytes};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use serde_json::Value;
use sha2::Sha256;

/// The largest answer.
const LARGEST: usize = 1 << 20;
/// How many headers of an answer are kept, and how long each may be.
const MOST_HEADERS: usize = 100;
const LONGEST_HEADER: usize = 1_000;

/// The headers that prove to a server that we sent this, and when.
pub(super) fn signed(secret: &str, body: &str) -> [(&'static str, String); 2] {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let timestamp = since.as_secs().to_string();
    let signature = format!("v1,{}", sign(secret, &timestamp, body));
    [("x-chandlery-timestamp", timestamp), ("x-chandlery-signature", signature)]
}

fn sign(secret: &str, timestamp: &str, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("a key may have any length");
    mac.update(format!("{timestamp}.{body}").as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

/// Its status, its headers and what it said: JSON, or a text.
pub(super) type Answered = (u16, BTreeMap<String, String>, Value);

/// Calls once; a redirect is an answer.
///
/// # Errors
/// Why there is no answer.
pub(super) async fn once(request: Request<Full<Bytes>>) -> Result<Answered, String> {
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let connector = HttpsConnectorBuilder::new()
        .with_provider_and_webpki_roots(provider)
        .map_err(|error| error.to_string())?
        .https_or_http()
        .enable_http1()
        .build();
    let client = Client::builder(TokioExecutor::new()).build::<_, Full<Bytes>>(connector);
    let response = client.request(request).await.map_err(|error| causes(&error))?;
    let (parts, body) = response.into_parts();
    let bytes = Limited::new(body, LARGEST)
        .collect()
        .await
        .map_err(|error| format!("its answer could not be read: {error}"))?
        .to_bytes();
    let mut headers = BTreeMap::new();
    for (name, value) in parts.headers.iter().take(MOST_HEADERS) {
        if let Ok(value) = value.to_str() {
            headers.insert(name.as_str().to_owned(), value.chars().take(LONGEST_HEADER).collect());
        }
    }
    let body = serde_json::from_slice(&bytes)
        .unwrap_or_else(|_| String::from_utf8_lossy(&bytes).into_owned().into());
    Ok((parts.status.as_u16(), headers, body))
}

fn causes(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        words = format!("{words}: {error}");
        cause = error.source();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The digest is what `printf 17.{} | openssl dgst -sha256 -hmac key -binary | base64` prints.
    #[test]
    fn what_is_sent_is_signed_with_its_time() {
        assert_eq!(sign("key", "17", "{}"), "5mOS6sQur8aMNaAccSgR4BY4bBJFaXX8OvgMkmhWjjo=");
    }
}
