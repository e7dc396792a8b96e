//! Where does a key belong that is not known where it stands?

use serde_json::Value;

use super::Segment;

/// The nearest thing around a place that knows a key, in words; `schema` is that of the whole document.
pub(super) fn home_of(schema: &Value, key: &str, place: &[Segment]) -> Option<String> {
    let mut around = vec![meant(schema, schema)];
    for segment in place {
        let inner = around.last()?.iter().filter_map(|schema| match segment {
            Segment::Key(key) => {
                let known = schema.get("properties").and_then(|known| known.get(key));
                known.or_else(|| schema.get("additionalProperties").filter(|other| other.is_object()))
            }
            Segment::Index(_) => schema.get("items"),
        });
        let inner = inner.flat_map(|inner| meant(schema, inner)).collect();
        around.push(inner);
    }
    // Here it is not known.
    around.pop();
    let knows = |schema: &&Value| schema.get("properties").is_some_and(|known| known.get(key).is_some());
    let depth = around.iter().rposition(|schemas| schemas.iter().any(knows))?;
    Some(match place[..depth].last() {
        None => "it belongs to the top of the file".to_owned(),
        Some(Segment::Key(key)) => format!("it belongs to `{key}`"),
        Some(Segment::Index(index)) => format!("it belongs to item {index} around it"),
    })
}

/// A schema, and those that it lets a value be instead.
fn meant<'a>(whole: &'a Value, schema: &'a Value) -> Vec<&'a Value> {
    if let Some(pointer) = schema.get("$ref").and_then(Value::as_str) {
        let found = pointer.strip_prefix('#').and_then(|pointer| whole.pointer(pointer));
        return found.map(|found| meant(whole, found)).unwrap_or_default();
    }
    let ways = ["anyOf", "oneOf", "allOf"].iter().filter_map(|word| schema.get(word)?.as_array()).flatten();
    std::iter::once(schema).chain(ways.flat_map(|way| meant(whole, way))).collect()
}
