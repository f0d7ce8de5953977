//! Compares jobs with the JSON Schema that the program prints, by those words of JSON Schema that it uses.

use std::sync::OnceLock;

use serde_json::{Map, Value, json};

use super::site::done;

/// The schema of a job.
pub fn job_schema() -> &'static Value {
    static SCHEMA: OnceLock<Value> = OnceLock::new();
    SCHEMA.get_or_init(|| serde_json::from_str(&done(&["settings", "--json"]).stdout).unwrap())
}

/// What of a job is not as its schema says, with `--set` options laid over it.
pub fn problems_of(job: &str, sets: &[&str]) -> Vec<String> {
    let mut job: Value = toml::from_str(job).unwrap();
    for set in sets {
        let (path, value) = set.split_once('=').unwrap();
        let value: Map<String, Value> = toml::from_str(&format!("value = {value}"))
            .unwrap_or_else(|_| Map::from_iter([("value".into(), json!(value))]));
        *place(&mut job, path) = value["value"].clone();
    }
    problems(job_schema(), &job, "job")
}

fn place<'a>(job: &'a mut Value, path: &str) -> &'a mut Value {
    path.split('.').fold(job, |value, name| match name.parse::<usize>() {
        Ok(index) => {
            let items = value.as_array_mut().unwrap();
            items.resize_with(items.len().max(index + 1), || json!({}));
            &mut items[index]
        }
        Err(_) => &mut value[name],
    })
}

fn problems(schema: &Value, value: &Value, path: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (word, wanted) in schema.as_object().unwrap() {
        let fits = |schema: &Value| problems(schema, value, path).is_empty();
        let is_right = match word.as_str() {
            "$ref" => {
                let target = job_schema().pointer(wanted.as_str().unwrap().trim_start_matches('#')).unwrap();
                found.extend(problems(target, value, path));
                true
            }
            "type" => wanted == kind(value) || (wanted == "number" && value.is_i64()),
            "const" => value == wanted,
            "enum" => wanted.as_array().unwrap().contains(value),
            "anyOf" => wanted.as_array().unwrap().iter().any(fits),
            "oneOf" => wanted.as_array().unwrap().iter().filter(|schema| fits(schema)).count() == 1,
            "minimum" => value.as_f64() >= wanted.as_f64(),
            "maximum" => value.as_f64() <= wanted.as_f64(),
            "minItems" => value.as_array().unwrap().len() as u64 >= wanted.as_u64().unwrap(),
            "maxItems" => value.as_array().unwrap().len() as u64 <= wanted.as_u64().unwrap(),
            "uniqueItems" => {
                let items = value.as_array().unwrap();
                items.iter().enumerate().all(|(index, item)| !items[..index].contains(item))
            }
            "required" => wanted.as_array().unwrap().iter().all(|name| value.get(name.as_str().unwrap()).is_some()),
            "dependentRequired" => wanted.as_object().unwrap().iter().all(|(name, others)| {
                value.get(name).is_none() || problems(&json!({ "required": others }), value, path).is_empty()
            }),
            "items" => {
                let items = value.as_array().into_iter().flatten().enumerate();
                found.extend(items.flat_map(|(index, item)| problems(wanted, item, &format!("{path}.{index}"))));
                true
            }
            "properties" => {
                for (name, value) in value.as_object().into_iter().flatten() {
                    found.extend(
                        wanted.get(name).into_iter().flat_map(|of| problems(of, value, &format!("{path}.{name}"))),
                    );
                }
                true
            }
            "additionalProperties" => {
                let known = schema["properties"].as_object();
                let others = value.as_object().into_iter().flatten();
                let mut others = others.filter(|(name, _)| known.is_none_or(|known| !known.contains_key(*name)));
                match wanted {
                    Value::Bool(any) => *any || others.next().is_none(),
                    wanted => others.all(|(_, value)| problems(wanted, value, path).is_empty()),
                }
            }
            "$schema" | "$defs" | "title" | "description" | "default" | "examples" => true,
            other => panic!("the schema says `{other}`, which is not looked at here"),
        };
        if !is_right {
            found.push(format!("{path} is {value}, but `{word}` is {wanted}"));
        }
    }
    found
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
