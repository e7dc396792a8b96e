//! Who else hears where a request stands? Over real HTTP and real SMTP.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    sync::mpsc::{Receiver, Sender, channel},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, Mac};
use serde_json::Value;
use sha2::Sha256;

use crate::{
    hook,
    world::{World, local::Local, reconcile},
};

const SETTINGS: &str = "version: 1
mode: on
repositories: [acme/infra]
notifications:
  - name: chat
    slack: env:CHAT
    on: [waiting_for_approval, success]
    text: \"<!channel> {{ action.title }} is {{ request.stageInWords }}: {{ pull.reference }}\"
  - { name: teams, teams: env:TEAMS, on: [success] }
  - { name: others, discord: env:DISCORD, actions: [resize-bucket] }
  - { name: program, webhook: { url: env:PROGRAM, secret: env:SIGNING } }
  - { name: post, on: [success], email: { server: env:MAIL, from: Chandlery <portal@acme.test>, to: [team@acme.test] } }
  - { name: closed, slack: env:CLOSED, on: [declined, cancelled], actions: [create-bucket] }
  - { name: lost, slack: env:NOT_THERE, on: [success] }
";

/// Each hears of what it wants to hear once, in its own format; what fails is tried again, and what cannot be delivered
/// stops nothing and is said.
#[test]
fn who_wants_to_know_is_told_once() {
    let (web, heard) = web();
    let (mail, letters) = mail();
    let mut world = Local::recorded();
    let at = |path: &str| format!("{web}/{path}");
    world.knowing(&[
        ("CHAT", &at("chat")),
        ("TEAMS", &at("teams")),
        ("DISCORD", &at("discord")),
        ("PROGRAM", &at("program")),
        ("CLOSED", &at("closed")),
        ("SIGNING", "between us"),
        ("MAIL", &mail),
    ]);
    world.sets(SETTINGS);
    let deed = |world: &mut Local, text: &str| assert!(world.deed(&text.parse().unwrap()), "{text}");

    deed(&mut world, "dan files create-bucket name=logs");
    let report = reconcile(&mut world);
    assert!(report.untold.is_empty() && report.left.is_empty(), "{report:?}");
    // The first try was answered with 503.
    let told: Vec<Heard> = heard.try_iter().collect();
    assert_eq!(paths(&told), ["/chat", "/chat", "/program"]);
    assert_eq!(
        told[1].body["text"],
        "&lt;!channel&gt; Create a bucket is waiting for approval: acme/catalog#2"
    );
    let program = &told[2];
    assert_eq!(program.body["request"]["stage"], "waiting_for_approval");
    assert_eq!(program.body["requesters"], serde_json::json!(["dan"]));
    assert_eq!(program.body["pull"]["url"], format!("{}/acme/catalog/pull/2", world.url()));
    assert!(program.is_signed_with("between us"), "{program:?}");
    assert_eq!(reconcile(&mut world).acts, 0);

    deed(&mut world, "bo approves catalog#2");
    deed(&mut world, "dan merges catalog#2");
    drop(reconcile(&mut world));
    deed(&mut world, "bo merges infra#1");
    let report = reconcile(&mut world);
    assert_eq!(
        report.untold,
        [
            "`lost` of `notifications`: there is no secret `env:NOT_THERE`: CHANDLERY_SECRET_NOT_THERE is not set where Chandlery runs"
        ]
    );
    assert!(report.left.is_empty(), "{report:?}");
    let told: Vec<Heard> = heard.try_iter().collect();
    assert_eq!(paths(&told), ["/chat", "/teams", "/program"]);
    let card = told[1].body["attachments"][0]["content"]["body"].as_array().unwrap();
    assert_eq!(card[0]["text"].as_str().unwrap().split(" (").next(), Some("Create a bucket: done"));
    let letters: Vec<String> = letters.try_iter().collect();
    assert_eq!(letters.len(), 1);
    assert!(letters[0].contains("To: team@acme.test"), "{}", letters[0]);
    assert!(letters[0].contains("Subject: Create a bucket: done (20"), "{}", letters[0]);
    assert_eq!(reconcile(&mut world).acts, 0);
    assert!(heard.try_recv().is_err());

    // What its requester or somebody else closes is of its action, too.
    deed(&mut world, "dan asks one create-bucket name=a");
    deed(&mut world, "dan asks two create-bucket name=b");
    deed(&mut world, "dan asks three resize-bucket of old size=2");
    drop(reconcile(&mut world));
    let _ = heard.try_iter().count();
    deed(&mut world, "dan closes catalog#3");
    deed(&mut world, "bo closes catalog#4");
    deed(&mut world, "bo closes catalog#5");
    drop(reconcile(&mut world));
    let told: Vec<Heard> = heard.try_iter().filter(|one| one.headers[":path"] == "/closed").collect();
    let words: Vec<&str> = told.iter().filter_map(|one| one.body["text"].as_str()).collect();
    let begins = |words: &&str| words.split(" (").next().unwrap_or_default().to_owned();
    assert_eq!(
        words.iter().map(begins).collect::<Vec<_>>(),
        ["Create a bucket: cancelled", "Create a bucket: declined"]
    );
}

#[derive(Debug)]
struct Heard {
    headers: BTreeMap<String, String>,
    text: Vec<u8>,
    body: Value,
}

impl Heard {
    fn is_signed_with(&self, secret: &str) -> bool {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(self.headers["x-chandlery-timestamp"].as_bytes());
        mac.update(b".");
        mac.update(&self.text);
        let signature = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
        self.headers["x-chandlery-signature"] == signature
    }
}

fn paths(heard: &[Heard]) -> Vec<&str> {
    heard.iter().map(|one| one.headers[":path"].as_str()).collect()
}

/// Hears everything; answers the first call with 503. It ends with the test's process.
fn web() -> (String, Receiver<Heard>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for (index, stream) in listener.incoming().flatten().enumerate() {
            let status = if index == 0 { "503 Service Unavailable" } else { "200 OK" };
            let Some((headers, text)) = hook::answer(stream, status) else { continue };
            let body = serde_json::from_slice(&text).unwrap_or(Value::Null);
            if sender.send(Heard { headers, text, body }).is_err() {
                return;
            }
        }
    });
    (url, receiver)
}

/// Takes every letter. It ends with the test's process.
fn mail() -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("smtp://{}", listener.local_addr().unwrap());
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            drop(take(stream, &sender));
        }
    });
    (url, receiver)
}

fn take(stream: TcpStream, letters: &Sender<String>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let says = |line: &str| (&stream).write_all(format!("{line}\r\n").as_bytes());
    says("220 mail.acme.test")?;
    let mut line = String::new();
    while reader.read_line(&mut line)? > 0 {
        let verb = line.split([' ', '\r']).next().unwrap_or_default().to_uppercase();
        match verb.as_str() {
            "DATA" => {
                says("354 go on")?;
                let mut letter = String::new();
                while reader.read_line(&mut letter)? > 0 && !letter.ends_with("\r\n.\r\n") {}
                drop(letters.send(letter));
                says("250 taken")?;
            }
            "QUIT" => return says("221 bye"),
            _ => says("250 mail.acme.test")?,
        }
        line.clear();
    }
    Ok(())
}
