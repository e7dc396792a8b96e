//! How is a server called? Signed, with a limit for everything, and without following it elsewhere.

use std::time::Duration;

use http_body_util::Full;
use hyper::{Request, body::Bytes};
use tokio::time::{sleep, timeout};
use tracing::info;

use super::{
    Vault,
    http::{once, signed},
};
use crate::plan::step::{Outcome, Send};

/// How long one try may take, if the step does not say.
const PATIENCE: Duration = Duration::from_secs(30);
/// The pause before the second try; each further one is three times as long.
const PAUSE: Duration = Duration::from_millis(500);

pub(super) async fn send(vault: &Vault, call: &Send) -> Outcome {
    let mut pause = PAUSE;
    let mut left = call.retries;
    loop {
        let request = match request(vault, call) {
            Ok(request) => request,
            Err(why) => return Outcome::Refused(why),
        };
        let patience = call.seconds.map_or(PATIENCE, Duration::from_secs);
        let answer = match timeout(patience, once(request)).await {
            Ok(answer) => answer,
            Err(_) => Err(format!("it took longer than {} s", patience.as_secs())),
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
        for (name, value) in signed(vault.open(secret)?.expose(), &body) {
            builder = builder.header(name, value);
        }
    }
    // What is wrong with it may hold a secret.
    builder
        .body(Full::new(Bytes::from(body)))
        .map_err(|_| "it cannot be sent: a header or the address is malformed".to_owned())
}
