//! `chandlery graph`: what is around an entity?

use std::{collections::BTreeSet, fmt::Write as _, process::ExitCode};

use clap::{Args, ValueEnum};
use serde_json::json;

use super::{Asked, Meant};
use crate::{catalog::view::View, cli::output, domain::EntityId};

/// How to draw.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Drawn {
    /// For Graphviz
    Dot,
    /// For pages that draw Mermaid, GitHub's among them
    Mermaid,
    /// Nodes and edges, for programs
    Json,
}

/// Draw what an entity points at and what points at it
///
/// Exit codes: 0 drawn, 2 wrong usage, 3 the catalog could not be read.
#[derive(Debug, Args)]
pub struct GraphArgs {
    #[command(flatten)]
    meant: Meant,
    /// How many relations away
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=20))]
    depth: u8,
    #[command(flatten)]
    asked: Asked,
    /// How to draw it
    #[arg(long, value_enum, default_value_t = Drawn::Mermaid)]
    format: Drawn,
}

type Edges = BTreeSet<(EntityId, String, EntityId)>;

/// Runs the command.
///
/// # Errors
/// When the entity is not there or the catalog cannot be read.
pub fn run(args: &GraphArgs) -> anyhow::Result<ExitCode> {
    let read = args.asked.read()?;
    let (kind, identifier) = args.meant.names(&read)?;
    let view = read.view();
    let start = read.entity(&view, kind, identifier)?;
    let (nodes, edges) = around(&view, &start, args.depth);
    output::print(&match args.format {
        Drawn::Dot => dot(&nodes, &edges),
        Drawn::Mermaid => mermaid(&nodes, &edges),
        Drawn::Json => {
            let nodes: Vec<String> = nodes.iter().map(ToString::to_string).collect();
            let edges: Vec<_> = edges
                .iter()
                .map(|(from, relation, to)| json!({ "from": from.to_string(), "relation": relation, "to": to.to_string() }))
                .collect();
            format!("{:#}\n", json!({ "nodes": nodes, "edges": edges }))
        }
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Everything so many relations away, in either direction.
fn around(view: &View<'_>, start: &EntityId, depth: u8) -> (BTreeSet<EntityId>, Edges) {
    let mut nodes = BTreeSet::from([start.clone()]);
    let mut edges = Edges::new();
    let mut outermost = nodes.clone();
    for _ in 0..depth {
        let mut next = BTreeSet::new();
        for id in &outermost {
            for (relation, to) in view.points_at(id) {
                edges.insert((id.clone(), relation.to_owned(), to.clone()));
                next.insert(to.clone());
            }
            for (from, relation) in view.pointed_at_by(id).iter() {
                edges.insert((from.clone(), relation.clone(), id.clone()));
                next.insert(from.clone());
            }
        }
        next.retain(|id| nodes.insert(id.clone()));
        outermost = next;
    }
    (nodes, edges)
}

fn dot(nodes: &BTreeSet<EntityId>, edges: &Edges) -> String {
    let quoted = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    let mut text = String::from("digraph {\n  rankdir=LR;\n  node [shape=box];\n");
    for node in nodes {
        let _ = writeln!(text, "  {};", quoted(&node.to_string()));
    }
    for (from, relation, to) in edges {
        let _ = writeln!(
            text,
            "  {} -> {} [label={}];",
            quoted(&from.to_string()),
            quoted(&to.to_string()),
            quoted(relation)
        );
    }
    text + "}\n"
}

fn mermaid(nodes: &BTreeSet<EntityId>, edges: &Edges) -> String {
    let name =
        |id: &EntityId| format!("n{}", nodes.iter().position(|node| node == id).unwrap_or(nodes.len()));
    // Mermaid's way of writing what would end a label.
    let quoted = |text: &str| text.replace('#', "#35;").replace('"', "#quot;").replace('<', "#lt;");
    let mut text = String::from("flowchart LR\n");
    for node in nodes {
        let _ = writeln!(text, "  {}[\"{}\"]", name(node), quoted(&node.to_string()));
    }
    for (from, relation, to) in edges {
        let _ = writeln!(text, "  {} -->|\"{}\"| {}", name(from), quoted(relation), name(to));
    }
    text
}
