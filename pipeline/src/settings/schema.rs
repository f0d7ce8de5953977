//! The JSON Schema of a job, as its types and their serde attributes say.

use std::collections::BTreeSet;

use arrow::datatypes::{Schema as Table, SchemaRef};
use pageloom_schemas::tables;
use schemars::Schema;
use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use serde_json::{Map, Value, json};

use super::doc_text;
use crate::job::Job;
use crate::steps::StepConfig;

/// The JSON Schema (draft 2020-12) of a job file's TOML.
pub fn schema() -> Value {
    let settings = SchemaSettings::draft2020_12().with_transform(RecursiveTransform(as_in_toml));
    let mut schema = settings.into_generator().into_root_schema_for::<Job>().to_value();
    schema["description"] =
        json!("A job of Pageloom: where pages come from, what is done to them, and what trainers get.");
    // A job of images alone has neither documents nor sequences.
    schema["anyOf"] = json!([{ "required": ["documents", "sequences"] }, { "required": ["image_shards"] }]);
    schema["dependentRequired"] = json!({ "sequences": ["documents"] });
    for (section, start) in [("documents", tables::pages()), ("images", tables::located_images())] {
        let steps = steps_of(start);
        let mut of_section = schema["$defs"]["StepConfig"].clone();
        if let Some(all) = of_section["oneOf"].as_array_mut() {
            all.retain(|step| keys(&step["properties"]).any(|name| steps.contains(name)));
        }
        schema["properties"][section]["items"] = of_section;
    }
    remove_unused(&mut schema);
    schema
}

/// The steps that can stand among those of a section: what they read is in the table that it starts with, or comes from
/// another of them.
fn steps_of(start: SchemaRef) -> BTreeSet<&'static str> {
    let mut fields: Vec<_> = start.fields().iter().cloned().collect();
    let mut steps = BTreeSet::new();
    loop {
        let before = steps.len();
        for step in StepConfig::examples() {
            let table = Table::new(fields.clone());
            if let Ok(after) = step.columns().apply(&table) {
                steps.insert(step.name());
                let new = after.fields().iter().filter(|field| table.field_with_name(field.name()).is_err());
                fields.extend(new.cloned());
            }
        }
        if steps.len() == before {
            return steps;
        }
    }
}

fn keys(object: &Value) -> impl Iterator<Item = &str> {
    object.as_object().into_iter().flat_map(Map::keys).map(String::as_str)
}

/// Makes what schemars says of Rust's types true of TOML, which has no null, and readable outside of rustdoc.
fn as_in_toml(schema: &mut Schema) {
    if let Some(Value::String(comment)) = schema.get("description") {
        let text = doc_text::plain(comment);
        schema.insert("description".into(), text.into());
    }
    // Formats such as `uint32` are schemars' own, and say less than a bound.
    if schema.remove("format") == Some(json!("uint32")) {
        schema.insert("maximum".into(), u32::MAX.into());
    }
    if schema.get("default") == Some(&Value::Null) {
        schema.remove("default");
    }
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|name| name != "null");
        if let [name] = &types[..] {
            let name = name.clone();
            schema.insert("type".into(), name);
        }
    }
    let null = json!({ "type": "null" });
    let Some(Value::Array(branches)) = schema.get_mut("anyOf") else { return };
    branches.retain(|branch| *branch != null);
    if let [Value::Object(alone)] = &mut branches[..] {
        let alone = std::mem::take(alone);
        schema.remove("anyOf");
        for (key, value) in alone {
            schema.ensure_object().entry(key).or_insert(value);
        }
    }
}

/// Removes definitions that nothing refers to.
fn remove_unused(schema: &mut Value) {
    let Some(Value::Object(definitions)) = schema.get_mut("$defs").map(Value::take) else { return };
    let mut used = Map::new();
    let mut wanted = references(schema);
    while let Some(name) = wanted.pop() {
        if let Some(definition) = definitions.get(&name).filter(|_| !used.contains_key(&name)) {
            wanted.extend(references(definition));
            used.insert(name, definition.clone());
        }
    }
    schema["$defs"] = Value::Object(used);
}

/// The definitions that a schema refers to.
fn references(schema: &Value) -> Vec<String> {
    match schema {
        Value::Object(object) => {
            let own = object.get("$ref").and_then(Value::as_str).and_then(|target| target.strip_prefix("#/$defs/"));
            own.map(str::to_owned).into_iter().chain(object.values().flat_map(references)).collect()
        }
        Value::Array(items) => items.iter().flat_map(references).collect(),
        _ => Vec::new(),
    }
}
