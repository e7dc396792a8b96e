//! Who is told when something happened?
//!
//! Deliveries leave one after another, signed as GitHub signs them, once each: GitHub does not
//! try again by itself, so neither does the forge.

use hmac::{Hmac, Mac};
use http_body_util::Full;
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use sha2::Sha256;
use tokio::sync::mpsc;

use super::reply::HookEvent;
use super::store::State;

/// How long a receiver may take.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(10);

pub(crate) struct Delivery {
    pub(crate) url: String,
    secret: Option<String>,
    event: &'static str,
    id: String,
    body: String,
    form: bool,
}

/// The deliveries that these events cause.
pub(crate) fn deliveries(state: &mut State, events: Vec<HookEvent>, copies: usize) -> Vec<Delivery> {
    let mut deliveries = Vec::new();
    for event in events {
        let id = state.next_id();
        let Some(repository) = state.repositories.get(&event.repository) else { continue };
        for hook in repository.hooks.values().filter(|hook| hook.active) {
            if !hook.events.iter().any(|name| name == event.name || name == "*") {
                continue;
            }
            for _ in 0..copies {
                let form = hook.content_type != "json";
                let json = event.payload.to_string();
                deliveries.push(Delivery {
                    url: hook.url.clone(),
                    secret: hook.secret.clone(),
                    event: event.name,
                    id: format!("{id:08x}-0000-4000-8000-{:012x}", hook.id),
                    body: if form { format!("payload={}", super::reply::encode(&json)) } else { json },
                    form,
                });
            }
        }
    }
    deliveries
}

pub(crate) fn signature(secret: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("a key of any length will do");
    mac.update(body);
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

pub(crate) async fn deliver_all(mut queue: mpsc::UnboundedReceiver<Delivery>) {
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    while let Some(delivery) = queue.recv().await {
        let kind = if delivery.form { "application/x-www-form-urlencoded" } else { "application/json" };
        let mut request = hyper::Request::post(&delivery.url)
            .header("content-type", kind)
            .header("user-agent", "GitHub-Hookshot/forge")
            .header("x-github-event", delivery.event)
            .header("x-github-delivery", &delivery.id);
        if let Some(secret) = &delivery.secret {
            request = request.header("x-hub-signature-256", signature(secret, delivery.body.as_bytes()));
        }
        let Ok(request) = request.body(Full::from(delivery.body)) else { continue };
        if tokio::time::timeout(PATIENCE, client.request(request)).await.is_err() {
            tracing::debug!(url = delivery.url, "a webhook receiver did not answer");
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn deliveries_are_signed_as_github_documents_it() {
        // The example of GitHub's page on validating webhook deliveries.
        let signed = super::signature("It's a Secret to Everybody", b"Hello, World!");
        assert_eq!(signed, "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17");
    }
}
