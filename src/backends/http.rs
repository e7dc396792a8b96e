//! How is a web address called? Once, within a time, no redirect followed, no endless answer read.

use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::{Request, Uri, body::Bytes};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};

/// No answer is larger than this.
const LARGEST_ANSWER: usize = 1 << 20;

type Web = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

fn web() -> Web {
    let connector = HttpsConnectorBuilder::new()
        .with_provider_and_webpki_roots(rustls::crypto::aws_lc_rs::default_provider())
        .expect("the provider has the usual protocols")
        .https_or_http()
        .enable_http1()
        .build();
    Client::builder(TokioExecutor::new()).build(connector)
}

/// Whether an address may be called: over TLS, or on this machine.
pub(super) fn is_safe(address: &str) -> bool {
    let Ok(uri) = address.parse::<Uri>() else { return false };
    let local = matches!(uri.host(), Some("localhost" | "127.0.0.1" | "[::1]"));
    uri.scheme_str() == Some("https") || uri.scheme_str() == Some("http") && local
}

/// Posts JSON; the status and what was answered.
///
/// # Errors
/// Why there is no answer, in words that do not hold the address.
pub(super) async fn post(
    address: &str,
    headers: &[(&str, String)],
    body: Vec<u8>,
    patience: Duration,
) -> Result<(u16, Bytes), String> {
    let mut request = Request::post(address)
        .header("content-type", "application/json")
        .header("user-agent", concat!("chandlery/", env!("CARGO_PKG_VERSION")));
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    let request = request.body(Full::from(body)).map_err(|_| "its address cannot be used".to_owned())?;
    let answer = async {
        let answer = web().request(request).await.map_err(|error| words(&error))?;
        let status = answer.status().as_u16();
        let body = Limited::new(answer.into_body(), LARGEST_ANSWER).collect().await;
        Ok((status, body.map_err(|error| format!("its answer cannot be read: {error}"))?.to_bytes()))
    };
    tokio::time::timeout(patience, answer)
        .await
        .unwrap_or_else(|_| Err(format!("it did not answer within {} seconds", patience.as_secs())))
}

fn words(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    text
}
