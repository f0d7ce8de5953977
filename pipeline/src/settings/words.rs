//! Tells in words what may stand at a place, and what stands there if it is left out.

use serde_json::Value;

use super::places::{Place, Places};

/// What may stand at a place: `whole number of at least 1, default 3`.
pub fn kind_and_default(places: &Places, place: Place) -> String {
    let kind = kind(places, place.schema);
    match place.schema.get("default").and_then(in_toml) {
        _ if place.is_required => format!("{kind}, must be given"),
        Some(default) => format!("{kind}, default {default}"),
        None => format!("{kind}, may be left out"),
    }
}

/// What may stand at a place, in a few words.
pub fn kind(places: &Places, schema: &Value) -> String {
    let mut kinds: Vec<String> = Vec::new();
    for branch in places.branches(schema) {
        let kind = kind_of_branch(places, branch);
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    kinds.join(", or ")
}

fn kind_of_branch(places: &Places, schema: &Value) -> String {
    match schema["type"].as_str() {
        Some("string") if schema.get("const").is_some() => "one of the words below".into(),
        Some("string") => "text".into(),
        Some("boolean") => "true or false".into(),
        Some("integer") => format!("whole number{}", bounds(schema)),
        Some("number") => format!("number{}", bounds(schema)),
        Some("array") => format!("list{}: each {}", length(schema), kind(places, &schema["items"])),
        Some("object") if schema.get("properties").is_none() => {
            format!("table of names: each {}", kind(places, &schema["additionalProperties"]))
        }
        _ => "table".into(),
    }
}

fn bounds(schema: &Value) -> String {
    match (schema.get("minimum"), schema.get("maximum")) {
        (Some(least), Some(most)) => format!(" from {least} to {most}"),
        (Some(least), None) => format!(" of at least {least}"),
        _ => String::new(),
    }
}

fn length(schema: &Value) -> String {
    match (schema["minItems"].as_u64(), schema["maxItems"].as_u64()) {
        (Some(least), Some(most)) if least == most => format!(" of {most}"),
        (Some(1), None) => " of at least one".into(),
        _ => String::new(),
    }
}

/// A value as a job file would say it.
fn in_toml(value: &Value) -> Option<String> {
    toml::Value::try_from(value).ok().map(|value| value.to_string())
}
