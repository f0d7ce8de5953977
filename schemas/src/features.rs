//! Hugging Face `datasets` features of an Arrow schema.

use arrow::datatypes::{DataType, Schema};
use serde_json::{Value, json};

/// Key of the Parquet footer under which `datasets` looks for features.
pub const FOOTER_KEY: &str = "huggingface";

/// The footer's value: `{"info": {"features": …}}`.
///
/// Lists are written as `Sequence`, which every `datasets` version reads; `List` breaks those before 4.
pub fn footer_value(schema: &Schema) -> Value {
    json!({ "info": { "features": features(schema) } })
}

/// One feature per column.
pub fn features(schema: &Schema) -> Value {
    schema.fields().iter().map(|field| (field.name().clone(), feature(field.data_type()))).collect()
}

fn feature(data_type: &DataType) -> Value {
    match data_type {
        DataType::List(item) => json!({ "feature": feature(item.data_type()), "_type": "Sequence" }),
        DataType::Struct(fields) => {
            fields.iter().map(|field| (field.name().clone(), feature(field.data_type()))).collect()
        }
        other => json!({ "dtype": dtype(other), "_type": "Value" }),
    }
}

fn dtype(data_type: &DataType) -> String {
    match data_type {
        DataType::Utf8 => "string".into(),
        DataType::Binary | DataType::FixedSizeBinary(_) => "binary".into(),
        DataType::Boolean => "bool".into(),
        // Arrow's own names of the numbers are the names `datasets` uses, in lower case.
        number => number.to_string().to_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{columns, tables};

    #[test]
    fn lists_are_sequences_of_values() {
        let features = features(&tables::sequences([]));
        assert_eq!(
            features["input_ids"],
            json!({"feature": {"dtype": "int32", "_type": "Value"}, "_type": "Sequence"})
        );
        assert_eq!(features["document_keys"]["feature"]["dtype"], "string");
        assert_eq!(feature(columns::run_is_whole().field().data_type())["feature"]["dtype"], "bool");
    }
}
