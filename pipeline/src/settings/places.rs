//! The places of a job file, as its schema has them: what a name may stand for, and what may stand below it.

use serde_json::Value;

/// The schema of a job, which is asked for what may stand where.
pub struct Places {
    schema: Value,
}

/// A name in a job file: a section, a setting, or one of several things that a setting may be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Place<'a> {
    /// How it is written.
    pub name: &'a str,
    /// What may stand there.
    pub schema: &'a Value,
    /// What its name stands for, where it is one of several: the doc text of a step, or of an objective.
    pub about: &'a str,
    /// Whether it must be given.
    pub is_required: bool,
    /// Whether it excludes its neighbours.
    pub is_alternative: bool,
}

/// A word that may stand for a value, and what it means.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Word<'a> {
    /// The word.
    pub name: &'a str,
    /// What it means.
    pub about: &'a str,
}

impl Places {
    /// Of a job's schema.
    pub fn new(schema: Value) -> Self {
        Self { schema }
    }

    /// The job itself.
    pub fn root(&self) -> &Value {
        &self.schema
    }

    /// The definition that a schema refers to, or itself.
    pub fn resolve<'a>(&'a self, schema: &'a Value) -> &'a Value {
        let target = schema["$ref"].as_str().and_then(|target| target.strip_prefix("#/$defs/"));
        target.map_or(schema, |name| &self.schema["$defs"][name])
    }

    /// What a schema says that it may be: one of several, or itself.
    pub fn branches<'a>(&'a self, schema: &'a Value) -> Vec<&'a Value> {
        let schema = self.resolve(schema);
        // At the root `anyOf` says which sections go together.
        let several = if schema.get("properties").is_some() { None } else { several(schema) };
        several.map_or_else(|| vec![schema], |several| several.iter().flat_map(|one| self.branches(one)).collect())
    }

    /// What a list holds, or a table of names that the user chooses; itself, where it is neither.
    pub fn element<'a>(&'a self, schema: &'a Value) -> &'a Value {
        let schema = self.resolve(schema);
        let element = schema.get("items").or_else(|| schema.get("additionalProperties").filter(|of| of.is_object()));
        element.map_or(schema, |element| self.element(element))
    }

    /// The places right below.
    pub fn below<'a>(&'a self, schema: &'a Value) -> Vec<Place<'a>> {
        let schema = self.element(schema);
        if schema.get("properties").is_some() {
            return places(schema, false);
        }
        let below = |branch: &'a Value| if is_alternative(branch) { places(branch, true) } else { self.below(branch) };
        several(schema).into_iter().flatten().flat_map(below).collect()
    }

    /// The words that a value, or each of a list, may be.
    pub fn words<'a>(&'a self, schema: &'a Value) -> Vec<Word<'a>> {
        let word =
            |branch: &'a Value| Some(Word { name: branch["const"].as_str()?, about: text(branch, "description") });
        self.branches(self.element(schema)).into_iter().filter_map(word).collect()
    }

    /// What is said of a place: by its name, and by what stands there where that has settings of its own.
    pub fn about(&self, place: Place) -> String {
        let of_type = self.resolve(place.schema);
        let own = if place.about.is_empty() { text(place.schema, "description") } else { place.about };
        let of_type = if self.below(of_type).is_empty() && !own.is_empty() { "" } else { text(of_type, "description") };
        match (own, of_type) {
            (own, of_type) if own.is_empty() || own == of_type => of_type.to_owned(),
            (own, "") => own.to_owned(),
            (own, of_type) => format!("{own}\n\n{of_type}"),
        }
    }
}

fn several(schema: &Value) -> Option<&Vec<Value>> {
    ["oneOf", "anyOf"].iter().find_map(|word| schema.get(*word)?.as_array())
}

/// Whether one of several is a table that is told apart by its only key. A table that has a name of its own is none.
fn is_alternative(branch: &Value) -> bool {
    branch["properties"].as_object().is_some_and(|properties| properties.len() == 1)
}

fn places(table: &Value, is_alternative: bool) -> Vec<Place<'_>> {
    let required: Vec<&str> = table["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let about = if is_alternative { text(table, "description") } else { "" };
    let mut places = Vec::new();
    for (name, schema) in table["properties"].as_object().into_iter().flatten() {
        places.push(Place { name, schema, about, is_required: required.contains(&name.as_str()), is_alternative });
    }
    // What must be given first.
    places.sort_by_key(|place| !place.is_required);
    places
}

fn text<'a>(schema: &'a Value, key: &str) -> &'a str {
    schema[key].as_str().unwrap_or_default()
}
