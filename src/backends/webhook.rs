//! How is a server called? Signed, with a limit for everything, and without following it elsewhere.

#![expect(clippy::disallowed_methods, reason = "a signature says when it was made")]

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, Mac};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{Request, body::Bytes};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use serde_json::Value;
use sha2::Sha256;
use tokio::time::{sleep, timeout};
use tracing::info;

use super::Vault;
use crate::plan::step::{Outcome, Send};

/// How long one try may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// The pause before the second try; each further one is three times as long.
const PAUSE: Duration = Duration::from_millis(500);
/// The largest answer.
const LARGEST: usize = 1 << 20;
/// How many headers of an answer are kept, and how long each may be.
const MOST_HEADERS: usize = 100;
const LONGEST_HEADER: usize = 1_000;

pub(super) async fn send(vault: &Vault, call: &Send) -> Outcome {
    let mut pause = PAUSE;
    let mut left = call.retries;
    loop {
        let request = match request(vault, call) {
            Ok(request) => request,
            Err(why) => return Outcome::Refused(why),
        };
        let answer = match timeout(PATIENCE, once(request)).await {
            Ok(answer) => answer,
            Err(_) => Err("it took too long".to_owned()),
        };
        info!(method = %call.method, outcome = ?answer.as_ref().map(|(status, ..)| *status), "called a server");
        match answer {
            Ok((status, headers, body)) => {
                let again = !call.is_success(status) && (status == 429 || status >= 500);
                if !again || left == 0 {
                    let headers =
                        headers.into_iter().map(|(name, value)| (name, vault.mask(&value))).collect();
                    return Outcome::Answered { status, headers, body: vault.mask_value(&body) };
                }
            }
            Err(why) if left == 0 => {
                let tries = call.retries + 1;
                return Outcome::Refused(vault.mask(&format!("no answer after {tries} tries: {why}")));
            }
            Err(_) => {}
        }
        left -= 1;
        sleep(pause).await;
        pause *= 3;
    }
}

fn request(vault: &Vault, call: &Send) -> Result<Request<Full<Bytes>>, String> {
    let body = match &call.body {
        Some(body) => vault.reveal(body)?.to_string(),
        None => String::new(),
    };
    let mut builder = Request::builder()
        .method(call.method.as_str())
        .uri(&call.url)
        .header("user-agent", "chandlery")
        .header("idempotency-key", &call.idempotency_key);
    if call.body.is_some() {
        builder = builder.header("content-type", "application/json");
    }
    for (name, value) in &call.headers {
        builder = builder.header(name, vault.reveal_text(value)?);
    }
    if let Some(secret) = &call.secret {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let timestamp = since.as_secs().to_string();
        let signature = sign(vault.open(secret)?, &timestamp, &body);
        builder = builder
            .header("x-chandlery-timestamp", timestamp)
            .header("x-chandlery-signature", format!("v1,{signature}"));
    }
    // What is wrong with it may hold a secret.
    builder
        .body(Full::new(Bytes::from(body)))
        .map_err(|_| "it cannot be sent: a header or the address is malformed".to_owned())
}

/// What proves to the server that we sent this, and when.
fn sign(secret: &str, timestamp: &str, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("a key may have any length");
    mac.update(format!("{timestamp}.{body}").as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

type Answered = (u16, BTreeMap<String, String>, Value);

async fn once(request: Request<Full<Bytes>>) -> Result<Answered, String> {
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
